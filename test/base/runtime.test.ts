/** The runtime, by its own account. */
import { describe, expect, test } from "bun:test";
import { checkRuntime, hostName, processUsage, runtimeOf } from "../../src/base/runtime.ts";

describe("the runtime", () => {
  test("is named by the versions of its parts", () => {
    expect(runtimeOf({ node: "24.1.0" })).toEqual({ name: "node", version: "24.1.0" });
    expect(runtimeOf({ node: "24.1.0", bun: "1.4.5" })).toEqual({ name: "bun", version: "1.4.5" });
    expect(runtimeOf({ node: "24.1.0", deno: "2.9.6" })).toEqual({
      name: "deno",
      version: "2.9.6",
    });
    expect(runtimeOf().name).toBe("bun");
  });

  test.each(["20.18.9", "18.20.0", "0.0.0", "6"])(
    "Node.js %s is refused with RUNTIME_TOO_OLD",
    (version) => {
      let thrown: unknown;
      try {
        checkRuntime({ name: "node", version });
      } catch (error) {
        thrown = error;
      }
      expect(thrown).toMatchObject({
        code: "RUNTIME_TOO_OLD",
        executed: "no",
        details: { runtime: "Node.js", version, purpose: "catga", minimum: "20.19" },
      });
    },
  );

  test.each(["20.19.0", "20.100.1", "22.0.0", "100.0.0"])("Node.js %s is new enough", (version) => {
    expect(() => checkRuntime({ name: "node", version })).not.toThrow();
  });

  test("is not asked for the Node.js that another one imitates", () => {
    expect(() => checkRuntime({ name: "bun", version: "1.0.0" })).not.toThrow();
    expect(() => checkRuntime({ name: "deno", version: "2.0.0" })).not.toThrow();
  });
});

test("the process is described by figures, and its machine by a name that an id can carry", () => {
  const { cpuSeconds, memoryBytes } = processUsage();
  expect(cpuSeconds).toBeGreaterThan(0);
  expect(memoryBytes).toBeGreaterThan(1_000_000);
  expect(hostName()).toMatch(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,39}$/);
});
