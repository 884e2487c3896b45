/** How long the bench takes pains: whole figures, or a quick look at whether everything runs. */
import process from "node:process";

/** The bounds of every case. */
export interface Effort {
  readonly rounds: number;
  readonly warmUpMs: number;
  readonly roundMs: number;
  /** Processes that are started for a figure of a whole process. */
  readonly processes: number;
  readonly liveEntities: number;
  /** Event streams that are open at once. */
  readonly streams: number;
  /** Nodes of the largest simulated cluster. */
  readonly simulatedNodes: number;
}

const WHOLE: Effort = {
  rounds: 9,
  warmUpMs: 1_500,
  roundMs: 300,
  processes: 5,
  liveEntities: 1_000_000,
  streams: 8_000,
  simulatedNodes: 100,
};
const QUICK: Effort = {
  rounds: 5,
  warmUpMs: 600,
  roundMs: 60,
  processes: 3,
  liveEntities: 100_000,
  streams: 1_000,
  simulatedNodes: 30,
};

/** What the command line of this process asks for. */
export function effort(): Effort {
  return process.argv.includes("--quick") ? QUICK : WHOLE;
}
