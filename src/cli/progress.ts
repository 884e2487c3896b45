/** A line on a terminal that says how far a long work has come. Where none looks, it is silent. */
import type { BackupProgress } from "../backup/index.ts";
import type { Clock } from "../base/clock.ts";

/** Where it is drawn: standard error. */
export interface Screen {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

const REDRAW_MS = 100;
const BAR_COLUMNS = 20;
/** Back to the beginning of the line, which is empty then. */
const CLEAR = "\r\u001b[K";

/** See the file's header; the last call has no progress, and leaves the line empty. */
export function progressBar(screen: Screen, clock: Clock): (progress?: BackupProgress) => void {
  let drawnMs = Number.NEGATIVE_INFINITY;
  return (progress) => {
    if (screen.isTTY !== true) return;
    if (progress === undefined) return void screen.write(CLEAR);
    if (clock.nowMs() - drawnMs < REDRAW_MS) return;
    drawnMs = clock.nowMs();
    const text = lineOf(progress);
    screen.write(CLEAR + text.slice(0, (screen.columns ?? 80) - 1));
  };
}

/** Such as `[#####---]  63 %  63 of about 100 entities`. */
function lineOf({ done, total = 0, corrupt }: BackupProgress): string {
  const count = done.toLocaleString("en");
  const broken = corrupt === 0 ? "" : `, ${corrupt} corrupt`;
  if (total === 0) return `${count} entities${broken}`;
  const share = Math.min(1, done / total);
  const filled = Math.round(share * BAR_COLUMNS);
  const bar = "#".repeat(filled) + "-".repeat(BAR_COLUMNS - filled);
  const percent = `${Math.floor(share * 100)}`.padStart(3);
  return `[${bar}] ${percent} %  ${count} of about ${total.toLocaleString("en")} entities${broken}`;
}
