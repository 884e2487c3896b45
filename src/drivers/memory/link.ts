/**
 * The link in memory: a frame is handed over in a later turn of the event loop, like a real one.
 */
import type { Clock } from "../../base/clock.ts";
import { FRAME_BYTES_MAX } from "../../base/limits.ts";
import type { Link, LinkListener } from "../../ports/link.ts";

/** Makes the network of one cluster; the result gives each of its nodes a port to it. */
export function createMemoryNetwork(): (clock: Clock) => Link {
  const listeners = new Map<string, LinkListener>();
  return (clock) => {
    let self = "";
    return {
      async open(incarnation, listener) {
        self = incarnation;
        listeners.set(incarnation, listener);
        return incarnation;
      },
      send(to, frame) {
        if (self === "" || frame.length > FRAME_BYTES_MAX) return;
        const from = self;
        // What arrives belongs to the listener.
        const bytes = frame.slice();
        clock.yield(() => listeners.get(to.address)?.received(from, bytes));
      },
      forget() {},
      async close() {
        listeners.delete(self);
        self = "";
      },
    };
  };
}
