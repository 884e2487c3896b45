/** A Dockerfile, parsed: its stages, and what is wrong with the image that it makes. */
import { type Copy, DockerfileParser, type From, type JSONInstruction } from "dockerfile-ast";

/** What is looked at. */
export interface Image {
  /** Base images by stage; the last one becomes the image. */
  readonly stages: ReadonlyMap<string, string>;
  /** What is run in it, without a shell. */
  readonly command: readonly string[];
  readonly offences: readonly string[];
}

/** Reads a Dockerfile. */
export function parseDockerfile(text: string): Image {
  const file = DockerfileParser.parse(text);
  const froms = file.getFROMs();
  const stages = new Map(
    froms.map((from, at) => [from.getBuildStage() ?? `${at}`, from.getImage() ?? ""] as const),
  );
  const lastFrom = froms.at(-1)?.getRange()?.start.line ?? 0;
  const final = file.getInstructions().filter((each) => lineOf(each) > lastFrom);
  const users = final.filter((each) => each.getKeyword() === "USER");
  const commands = file.getCMDs().filter((each) => lineOf(each) > lastFrom);
  const words = commands.at(-1)?.getJSONStrings() ?? [];
  const command = words.map((word) => word.getJSONValue());
  const user = users.at(-1)?.getArguments()[0]?.getValue();
  return {
    stages,
    command,
    offences: [
      ...fromOffences(froms, stages),
      ...copyOffences(file.getCOPYs(), froms),
      ...(user === undefined || /^(?:root|0)(?::|$)/.test(user) ? ["runs as root"] : []),
      ...(commands.length === 1 && command.length > 0 ? [] : ["has no CMD in exec form"]),
      ...final
        .filter((each) => each.getKeyword() === "RUN")
        .map((each) => `line ${lineOf(each) + 1}: builds in the last stage`),
    ],
  };
}

function fromOffences(froms: readonly From[], stages: ReadonlyMap<string, string>): string[] {
  return froms.flatMap((from) => {
    const image = from.getImage() ?? "";
    if (stages.has(image) || /:\d+\.\d+\.\d+/.test(image)) return [];
    return [`image "${image}" is not pinned`];
  });
}

/** `--from` names a stage that is there by then. */
function copyOffences(copies: readonly Copy[], froms: readonly From[]): string[] {
  return copies.flatMap((copy) => {
    const source = copy.getFromFlag()?.getValue();
    if (source === undefined || source === null) return [];
    const current = froms.filter((from) => lineOf(from) < lineOf(copy)).length - 1;
    const earlier = froms.slice(0, current).map((from) => from.getBuildStage());
    return earlier.includes(source) ? [] : [`copies from "${source}", which is no earlier stage`];
  });
}

function lineOf(instruction: Pick<JSONInstruction, "getRange">): number {
  return instruction.getRange().start.line;
}
