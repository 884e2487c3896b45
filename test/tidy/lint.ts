/** Asks the linter about planted text, under the configuration of this repository. */
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** What the linter says of `text` as a file of `src`; the checkout at `root` stays as it is. */
export function lint(root: string, text: string): string {
  const folder = mkdtempSync(join(tmpdir(), "catga-tidy-"));
  try {
    // The rules for src go by the folder of the configuration, so that has to be there too.
    const config = join(folder, ".oxlintrc.json");
    copyFileSync(join(root, ".oxlintrc.json"), config);
    writeFileSync(join(folder, "tsconfig.json"), '{ "compilerOptions": { "types": [] } }');
    mkdirSync(join(folder, "src"));
    writeFileSync(join(folder, "src/planted.ts"), text);
    const program = join(root, "node_modules/oxlint/bin/oxlint");
    const command = [program, "--type-aware", "--config", config, folder];
    return spawnSync(process.execPath, command, { cwd: root, encoding: "utf8" }).stdout;
  } finally {
    rmSync(folder, { recursive: true });
  }
}
