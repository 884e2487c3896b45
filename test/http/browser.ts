/** A real browser for tests: Debian's Chromium, driven by playwright-core. */
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import process from "node:process";
import { type Browser, chromium } from "playwright-core";

const NAME = "chromium";
/** It runs as root in containers, and nothing may be fetched but what a test serves. */
const ARGS = ["--no-sandbox", "--disable-quic", "--disable-background-networking"];

/** False when tests with a browser are to be left out; says so. */
export function browserIsWanted(): boolean {
  if (process.env["CATGA_SKIP_BROWSER"] !== "1") return true;
  console.warn("SKIPPED: everything that needs a browser, because CATGA_SKIP_BROWSER is 1");
  return false;
}

/** Starts one; fails where there is none, and says how to get it. */
export async function startBrowser(): Promise<Browser> {
  const folders = (process.env["PATH"] ?? "").split(delimiter);
  const executablePath = folders.map((folder) => join(folder, NAME)).find(existsSync);
  if (executablePath === undefined) {
    const remedy = `run "apt-get install ${NAME}" as root, or set CATGA_SKIP_BROWSER=1`;
    throw new Error(`Cannot find ${NAME}: ${remedy}`);
  }
  return chromium.launch({ executablePath, args: ARGS });
}
