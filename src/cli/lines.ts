/** The lines of a text that comes in pieces. Only the piece and the line at hand are in memory. */

/** No line of an export is as long: of a record's 8 MB at most JSON makes six times as much. */
const LINE_CHARS_MAX = 64 * 1_048_576;

/** The lines of `pieces`, without their ends. */
export async function* linesOf(
  pieces: AsyncIterable<string>,
  charsMax: number = LINE_CHARS_MAX,
): AsyncGenerator<string, void> {
  let parts: string[] = [];
  let chars = 0;
  for await (const piece of pieces) {
    const [rest = "", ...others] = piece.split("\n");
    parts.push(rest);
    chars += rest.length;
    for (const other of others) {
      yield parts.join("");
      parts = [other];
      chars = other.length;
    }
    // Whoever reads lines says that this one is none.
    if (chars > charsMax) return yield parts.join("");
  }
  if (chars > 0) yield parts.join("");
}
