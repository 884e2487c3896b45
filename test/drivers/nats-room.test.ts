/** Whether an account of NATS has room, when the answer to that does not come. */
import type { JetStreamManager } from "@nats-io/jetstream";
import { expect, test } from "bun:test";
import { Room } from "../../src/drivers/nats/room.ts";
import { FakeClock } from "../base/fake-clock.ts";

test("an account whose broker did not answer at first is asked again", async () => {
  const clock = new FakeClock();
  let asked = 0;
  const full = { storage: 96, limits: { max_storage: 100 } };
  const getAccountInfo = (): Promise<unknown> =>
    ++asked === 1 ? Promise.reject(new Error("timeout")) : Promise.resolve(full);
  const room = new Room({ getAccountInfo } as unknown as JetStreamManager, clock);
  expect(await room.isFull()).toBe(false);
  expect(await room.isFull()).toBe(false);
  expect(asked).toBe(1);
  clock.advance(11_000);
  expect(await room.isFull()).toBe(true);
});
