/**
 * Asks to become what nobody becomes, over sockets; for every runtime. It prints one line and exits
 * with 0, or fails.
 */
import { equal, match } from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import process from "node:process";
import { Hono } from "hono";
import { listen } from "../../src/http/index.ts";

const isBun = "bun" in process.versions;
const app = new Hono().get("/", (c) => c.text("lives", c.req.header("Upgrade") ? 400 : 200));
const { url, port, close } = await listen(app, { port: 0, webSocket: true });

// What wants to become something else is sent away, and who resets it ends nothing.
const other = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";
for (const isReset of [true, false]) {
  const stranger = connect(port, "127.0.0.1");
  stranger.on("error", () => {});
  stranger.write(other);
  const [answer] = (await once(stranger, "data")) as [Buffer];
  match(answer.toString(), /^HTTP\/1\.1 4/);
  const gone = once(stranger, "close");
  if (isReset) stranger.resetAndDestroy();
  // Bun serves it as if it wanted nothing, so it may stay as long as any other.
  else if (isBun) stranger.destroy();
  await gone;
}
// Reset before it is answered.
const rude = connect(port, "127.0.0.1");
rude.on("error", () => {});
await once(rude, "connect");
rude.write(other, () => rude.resetAndDestroy());
await once(rude, "close");
equal(await (await fetch(url)).text(), "lives");
// Who is refused and stays is cut off; Bun does so as with any other.
const stays = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
stays.write(other.replace("h2c", "websocket"));
await once(stays, "data");
stays.resume();
const cutOff = new Promise<void>((resolve) => void stays.once("close", () => resolve()));
stays.on("error", () => {});
const tries = setInterval(() => (isBun ? stays.destroy() : stays.write("x")), 20);
await cutOff;
clearInterval(tries);
await close();
console.log("Nothing else is upgraded");
process.exit(0);
