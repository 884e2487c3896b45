/**
 * Makes a checkout ready: installs the locked packages and sees that the runtimes among them run.
 *
 * It runs before `npm start`, `npm test` and `npm run bench`, so it needs nothing but Node.js and
 * npm, and is done in a moment when nothing has changed since the last time: a stamp inside
 * `node_modules` holds the hash of the files that decide what is installed. It prints to stderr
 * alone, so that what follows owns stdout.
 *
 * With `--brokers`, for tests and benchmarks, it also sees that nats-server and redis-server are
 * there, or the one that is named after it: by apt-get, where it may, else it says what to install.
 * With `--browser` the same goes for Chromium. It never fails over them.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

const NODE_MINIMUM = [20, 19];
/** Each is an npm package with a script of its own that puts the binary in place. */
const RUNTIMES = ["bun", "deno", "node"];
/** Debian packages, named like their programs. */
const BROKERS = ["nats-server", "redis-server"];
const BROWSER = ["chromium"];
/** Where Debian puts servers; not everybody's PATH leads there. */
const SERVER_FOLDERS = ["/usr/sbin", "/usr/local/sbin"];

const root = fileURLToPath(new URL("..", import.meta.url));
const stampPath = join(root, "node_modules", ".setup-stamp");
const onWindows = process.platform === "win32";

refuseOldNode();
if (!isReady()) install();
if (process.argv.includes("--brokers")) add(brokers(), "CATGA_SKIP_BROKERS");
if (process.argv.includes("--browser")) add(BROWSER, "CATGA_SKIP_BROWSER");

function refuseOldNode() {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  if (major > NODE_MINIMUM[0] || (major === NODE_MINIMUM[0] && minor >= NODE_MINIMUM[1])) return;
  const minimum = NODE_MINIMUM.join(".");
  fail(`Cannot set up on Node.js ${process.versions.node}: ${minimum} or newer is needed`);
}

function isReady() {
  const installed = existsSync(stampPath) && readFileSync(stampPath, "utf8") === lockHash();
  return installed && RUNTIMES.every((name) => existsSync(binary(name)));
}

function install() {
  say("Installing packages with npm; this happens once per change of package-lock.json …");
  // Development packages are wanted even where NODE_ENV says "production".
  npm("install", "--no-audit", "--no-fund", "--include=dev", ...lockOption());
  if (brokenRuntimes().length > 0) npm("rebuild", ...RUNTIMES);
  const broken = brokenRuntimes();
  if (broken.length > 0) {
    fail(
      `Cannot run ${broken.join(", ")} from node_modules: their install scripts did not run; ` +
        `try "npm rebuild --ignore-scripts=false ${RUNTIMES.join(" ")}"`,
    );
  }
  // The hash is taken now: npm may have completed the lock file.
  writeFileSync(stampPath, lockHash());
}

/**
 * npm installs no binary for a platform that the lock file leaves out, as it does with optional
 * packages that were out of reach when it was written. There the exact versions of package.json,
 * without the lock, are the next best thing.
 */
function lockOption() {
  const { platform, arch } = process;
  const lock = readFileSync(join(root, "package-lock.json"), "utf8");
  return lock.includes(`@deno/${platform}-${arch}`) ? [] : ["--no-package-lock"];
}

function lockHash() {
  const hash = createHash("sha256");
  for (const file of ["package.json", "package-lock.json"]) {
    hash.update(readFileSync(join(root, file)));
  }
  return hash.digest("hex");
}

function brokenRuntimes() {
  return RUNTIMES.filter((name) => {
    const run = spawnSync(binary(name), ["--version"], { shell: onWindows });
    return run.status !== 0;
  });
}

/** Programs named like their packages; the variable leaves out the tests that need them. */
function add(programs, variable) {
  if (process.env[variable] === "1") return;
  const missing = missingOf(programs);
  if (missing.length === 0) return;
  const asRoot = process.getuid?.() === 0 ? [] : ["sudo", "-n"];
  const install = [...asRoot, "apt-get", "install", "-y", "--no-install-recommends", ...missing];
  if (runs("apt-get", "--version") && runs(...asRoot, "true")) {
    say(`Installing ${missing.join(" and ")} with apt-get, for tests and benchmarks …`);
    // The list of packages may be old, or missing: then it is fetched.
    if (!runs(...install) && runs(...asRoot, "apt-get", "update")) runs(...install);
  }
  const still = missingOf(programs);
  if (still.length === 0) return;
  say(
    `Cannot find ${still.join(" and ")}: run "apt-get install ${still.join(" ")}" as root, ` +
      `or set ${variable}=1 to leave out the tests that need it`,
  );
}

function brokers() {
  const named = BROKERS.filter((name) => process.argv.includes(name));
  return named.length > 0 ? named : BROKERS;
}

function missingOf(programs) {
  const folders = [...(process.env.PATH ?? "").split(delimiter), ...SERVER_FOLDERS];
  return programs.filter((name) => !folders.some((folder) => existsSync(join(folder, name))));
}

function runs(command, ...args) {
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  return spawnSync(command, args, { env, stdio: "ignore" }).status === 0;
}

function binary(name) {
  return join(root, "node_modules", ".bin", onWindows ? `${name}.cmd` : name);
}

function npm(...args) {
  const run = spawnSync("npm", args, { cwd: root, shell: onWindows, stdio: ["ignore", 2, 2] });
  if (run.error) fail(`Cannot run npm: ${run.error.message}`);
  if (run.status !== 0) fail(`Cannot set up: "npm ${args.join(" ")}" ended with ${run.status}`);
}

function say(line) {
  process.stderr.write(`${line}\n`);
}

function fail(line) {
  say(line);
  process.exit(1);
}
