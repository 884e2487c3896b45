/** The screen: aligned tables without boxes, a progress bar, and numbers that people can read. */

/** A column of a table. */
export interface Column {
  readonly title: string;
  readonly align: "left" | "right";
}

/** Where lines go, as far as the screen cares. */
export interface Output {
  write(text: string): unknown;
  readonly isTTY?: boolean;
}

/** How far the work has come. */
export interface Progress {
  readonly label: string;
  readonly done: number;
  readonly total: number;
  readonly perSecond: number;
}

const INDENT = "  ";
const GAP = "   ";
const BAR_CELLS = 32;
/** Without a bar, so many lines tell of the progress. */
const PLAIN_STEPS = 4;
const ESCAPE = "\u001B[";
const CLEAR_LINE = `\r${ESCAPE}2K`;

/** Where the screen writes. */
export interface Outputs {
  readonly main: Output;
  /** For what is not part of the show. */
  readonly aside: Output;
  readonly noColor: boolean;
}

/** Writes to a terminal with colours and a moving bar, to anything else as plain lines. */
export class Screen {
  readonly #output: Output;
  readonly #aside: Output;
  readonly #isFancy: boolean;
  #barIsShown = false;
  #stepsTold = 0;

  constructor({ main, aside, noColor }: Outputs) {
    this.#output = main;
    this.#aside = aside;
    this.#isFancy = main.isTTY === true && !noColor;
  }

  bold(text: string): string {
    return this.#styled("1", text);
  }

  dim(text: string): string {
    return this.#styled("2", text);
  }

  good(text: string): string {
    return this.#styled("1;32", text);
  }

  bad(text: string): string {
    return this.#styled("1;31", text);
  }

  /** One line, indented like everything else; none is a blank one. */
  line(text = ""): void {
    this.#clearBar();
    this.#output.write(text === "" ? "\n" : `${INDENT}${text}\n`);
  }

  /** A line beside the show: a warning, an error, what a node wrote to its stderr. */
  aside(text: string): void {
    this.#clearBar();
    this.#aside.write(`${text}\n`);
  }

  /** Rows under dim titles, each column as wide as its widest cell. */
  table(columns: readonly Column[], rows: readonly (readonly string[])[]): void {
    const widths = columns.map(({ title }, at) =>
      Math.max(title.length, ...rows.map((row) => row[at]?.length ?? 0)),
    );
    const aligned = (cells: readonly string[]): string =>
      columns
        .map(({ align }, at) => padded(cells[at] ?? "", widths[at] ?? 0, align))
        .join(GAP)
        .trimEnd();
    this.line(this.dim(aligned(columns.map(({ title }) => title))));
    for (const row of rows) this.line(aligned(row));
  }

  /** Draws the bar anew; without a terminal, a line for every quarter. */
  progress({ label, done, total, perSecond }: Progress): void {
    const share = total === 0 ? 1 : done / total;
    const counts = `${grouped(done)} of ${grouped(total)}`;
    const figures = `${percent(share)}   ${counts}   ${grouped(perSecond)}/s`;
    if (this.#isFancy) {
      const filled = Math.round(share * BAR_CELLS);
      const bar = "━".repeat(filled) + this.dim("─".repeat(BAR_CELLS - filled));
      this.#output.write(`${CLEAR_LINE}${INDENT}${label}   ${bar}   ${figures}`);
      this.#barIsShown = true;
      return;
    }
    const steps = Math.floor(share * PLAIN_STEPS);
    if (steps <= this.#stepsTold) return;
    this.#stepsTold = steps;
    this.line(`${label}   ${figures}`);
  }

  /** Keeps the bar as it stands. */
  endProgress(): void {
    if (this.#barIsShown) this.#output.write("\n");
    this.#barIsShown = false;
  }

  /** Ends the bar, so that what follows, of whoever, begins on a line of its own. */
  #clearBar(): void {
    if (!this.#barIsShown) return;
    this.#barIsShown = false;
    this.#output.write(CLEAR_LINE);
  }

  #styled(code: string, text: string): string {
    return this.#isFancy ? `${ESCAPE}${code}m${text}${ESCAPE}0m` : text;
  }
}

/** `1234567.8` as `1,234,568`. */
export function grouped(number: number): string {
  return Math.round(number).toLocaleString("en-US");
}

function percent(share: number): string {
  return `${Math.floor(share * 100)} %`.padStart(5);
}

function padded(text: string, width: number, align: Column["align"]): string {
  return align === "left" ? text.padEnd(width) : text.padStart(width);
}
