/** The page of the example in a real browser: it shows what others say, as they say it. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Browser, Page } from "playwright-core";
import { waitUntil } from "../contracts/wait-until.ts";
import { ExampleRuns, type Running } from "../example-process.ts";
import { browserIsWanted, startBrowser } from "./browser.ts";

const START_MS_MAX = 30_000;

/** What the page shows. */
function lines(page: Page): Promise<string[]> {
  return page.getByRole("listitem").allTextContents();
}

describe.if(browserIsWanted())("the page of a live room", () => {
  const runs = new ExampleRuns();
  let browser: Browser;
  let room: Running;
  let url = "";
  beforeAll(async () => {
    room = runs.start("16-live-room.ts", ["--serve"]);
    url = (await room.until("\n")).trim();
    browser = await startBrowser();
  }, START_MS_MAX);
  afterAll(async () => {
    await browser?.close();
    runs.endAll();
  });

  /** A page of one visitor, and what went wrong in it. */
  async function visit(): Promise<{ page: Page; errors: string[] }> {
    const page = await browser.newPage();
    const errors: string[] = [];
    page.on("console", (line) => {
      if (line.type() === "error") errors.push(line.text());
    });
    page.on("pageerror", ({ message }) => errors.push(message));
    await page.goto(url);
    await page.getByText("Connected", { exact: true }).waitFor();
    return { page, errors };
  }

  test(
    "shows what another client says, and what another page does",
    async () => {
      const [ada, bob] = [await visit(), await visit()];
      const said = await fetch(`${url}/entities/room/lobby/say`, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ who: "a client", text: "<b>hello</b>" }),
      });
      expect(said.status).toBe(204);
      await bob.page.getByLabel("Name").fill("bob");
      await bob.page.getByLabel("Text").fill("I am here");
      await bob.page.getByRole("button").click();
      for (const { page, errors } of [ada, bob]) {
        await waitUntil("the page shows both", async () => (await lines(page)).length === 2);
        expect(await lines(page)).toEqual(["a client: <b>hello</b>", "bob: I am here"]);
        expect(errors).toEqual([]);
        await page.close();
      }
    },
    START_MS_MAX,
  );
});
