/**
 * Random graphs of calls: what waits for itself is told so, what does not is answered, and nobody
 * waits for a deadline. A call is a tree of the calls that its turn makes one after the other, so a
 * model knows how each of them ends.
 */
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { command, defineEntity, isCatgaError, query, type Ref } from "../../src/index.ts";
import { TestCluster } from "../../src/testing/index.ts";

interface Step {
  readonly to: number;
  readonly type: "run" | "ask";
  readonly calls: readonly Step[];
}
/** How a call ended: as the calls inside it did, or in a cycle. */
type Ending = "CALL_CYCLE" | readonly Ending[];

/** A root of calls, among entities of its own. */
interface Play {
  readonly root: number;
  readonly calls: readonly Step[];
  readonly isAtOnce: boolean;
}

const messages = {
  run: command<Play, Ending>(),
  ask: query<Play, Ending>(),
  touch: command(),
};

function players<const N extends string>(name: N, reentrant: boolean) {
  async function play(ctx: { entity: Entities }, { root, calls, isAtOnce }: Play): Promise<Ending> {
    const inner = calls.map((step) => () => {
      const { to, type } = step;
      const target = ctx.entity({ name: nameOf(to), messages }, `${root}-${to}`);
      return target.send({ type, root, calls: step.calls, isAtOnce }).catch(endingOf);
    });
    if (isAtOnce) return Promise.all(inner.map((call) => call()));
    const endings: Ending[] = [];
    for (const call of inner) endings.push(await call());
    return endings;
  }
  return defineEntity(name, {
    messages,
    reentrant,
    state: () => null,
    handlers: { run: play, ask: play, touch() {} },
  });
}

type Entities = (
  target: { readonly name: string; readonly messages: typeof messages },
  id: string,
) => Ref<typeof messages>;

/** The error of any other call is none that is expected. */
function endingOf(error: unknown): Ending {
  if (isCatgaError(error, "CALL_CYCLE")) return error.code;
  throw error;
}

const entities = [players("even", false), players("third", true)] as const;
const ENTITIES = 6;
const nameOf = (entity: number): "third" | "even" => (entity % 3 === 2 ? "third" : "even");

/** How a call ends while the turns of `above` wait for it. */
function expected({ to, type, calls }: Step, above: readonly Step[]): Ending {
  const own = above.filter((each) => each.to === to);
  const waits = type === "run" ? own.length > 0 : own.some((each) => each.type === "run");
  if (waits && nameOf(to) === "even") return "CALL_CYCLE";
  return calls.map((step) => expected(step, [...above, { to, type, calls }]));
}

/** Trees of at most `depth` levels below, each of which names entities beyond `least`. */
function steps(depth: number, least?: number): fc.Arbitrary<readonly Step[]> {
  const isOver = depth === 0 || least === ENTITIES - 1;
  if (isOver) return fc.constant<readonly Step[]>([]);
  const min = least === undefined ? 0 : least + 1;
  const step = fc.integer({ min, max: ENTITIES - 1 }).chain((to) =>
    fc.record<Step>({
      to: fc.constant(to),
      type: fc.constantFrom("run", "run", "ask"),
      calls: steps(depth - 1, least === undefined ? undefined : to),
    }),
  );
  return fc.array(step, { maxLength: 3 });
}

/** Long before the deadline of any call. */
const SOON_MS = 2_000;

interface Scene {
  readonly seed: number;
  readonly plays: readonly (readonly Step[])[];
  readonly isAtOnce: boolean;
  /** Whether the plays have their entities for themselves. */
  readonly isApart: boolean;
}

/** Plays on three nodes, while one more joins and others send there as well. */
async function endings({ seed, plays, isAtOnce, isApart }: Scene): Promise<Ending[]> {
  const options = { seed, entities, shardCount: 32, heartbeat: "relaxed" } as const;
  await using cluster = await TestCluster.start(options);
  await cluster.advance("1s");
  const beganMs = cluster.nowMs;
  const at = (n: number, name: "even" | "third", id: string): Ref<typeof messages> =>
    cluster.node(`n${1 + (n % 3)}`).entity(name, id);
  const played = plays.map((calls, n) => {
    const root = isApart ? n : 0;
    const home = at(n, "even", `${root}-0`);
    return home.send({ type: "run", root, calls, isAtOnce });
  });
  const others = plays.flatMap((_, root) =>
    Array.from({ length: ENTITIES }, (__, entity) =>
      at(entity, nameOf(entity), `${root}-${entity}`).send({ type: "touch" }),
    ),
  );
  const all = Promise.all([...played, ...others]);
  await cluster.join("n4");
  await cluster.run(all);
  expect(cluster.nowMs - beganMs).toBeLessThan(SOON_MS);
  return await Promise.all(played);
}

describe("calls of random graphs", () => {
  test("end in a cycle where there is one, and nowhere else", async () => {
    const property = fc.asyncProperty(
      fc.nat(1_000),
      fc.array(steps(5), { minLength: 1, maxLength: 4 }),
      async (seed, plays) => {
        const found = await endings({ seed, plays, isAtOnce: false, isApart: true });
        expect(found).toEqual(plays.map((calls) => expected({ to: 0, type: "run", calls }, [])));
      },
    );
    await fc.assert(property, { numRuns: 60 });
  }, 60_000);

  test("are answered where there is none, whatever runs at the same time", async () => {
    const property = fc.asyncProperty(
      fc.nat(1_000),
      fc.array(steps(4, 0), { minLength: 2, maxLength: 6 }),
      async (seed, plays) => {
        const found = await endings({ seed, plays, isAtOnce: true, isApart: false });
        expect(JSON.stringify(found)).not.toContain("CALL_CYCLE");
      },
    );
    await fc.assert(property, { numRuns: 40 });
  }, 60_000);
});
