/** The Node.js of the machine, 20 at least, beside those that are packages of this repository. */
import { existsSync } from "node:fs";
import { delimiter, join, sep } from "node:path";
import process from "node:process";

/** The one that runs npm, else the first of the PATH that is not a package of this repository. */
export function ownNode(): string {
  const runsNpm = process.env["npm_node_execpath"];
  if (runsNpm !== undefined && !runsNpm.includes(`${sep}node_modules${sep}`)) return runsNpm;
  const name = process.platform === "win32" ? "node.exe" : "node";
  const folders = (process.env["PATH"] ?? "").split(delimiter);
  const found = folders
    .filter((folder) => !folder.split(sep).includes("node_modules"))
    .map((folder) => join(folder, name))
    .find((path) => existsSync(path));
  return found ?? process.execPath;
}
