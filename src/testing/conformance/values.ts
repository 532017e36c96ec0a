import { expect } from "vitest";
import {
  rejects,
  givenRun,
  newRun,
  type StoreCapabilities,
  type StoreTest,
  rejectsValue,
} from "./environment.ts";

const KiB = 1024;
const MiB = 1024 * KiB;

/** Text whose JSON has this many bytes: two quotes, and two bytes for each é. */
function textOfBytes(bytes: number): string {
  return `${"x".repeat((bytes - 2) % 2)}${"é".repeat(Math.floor((bytes - 2) / 2))}`;
}

export function describeValues(
  test: StoreTest,
  { maxRowBytes = Infinity }: StoreCapabilities,
): void {
  test("a value is read as it was written", async ({ store }) => {
    const { runId } = await givenRun(store);
    const values: unknown[] = [
      { nested: { list: [1, 2.5, -3e300, 5e-324, Number.MAX_SAFE_INTEGER + 2] } },
      'NUL \0, quote ", backslash \\, line \n, separator \u2028, lone \ud800 surrogate',
      "emoji \u{1f600} and \uffff",
      JSON.parse('{"__proto__": {"polluted": true}, "constructor": 1, "toJSON": 2}'),
      [[], {}, [[[]]], ""],
      { "": 1, " ": 2, "a.b": 3 },
    ];
    for (const value of values) {
      await store.saveState(runId, "k", value);
      expect(await store.loadState(runId, "k")).toEqual(value);
      await store.saveStepOutput(runId, "s", value);
      expect(await store.loadStepOutput(runId, "s")).toEqual(value);
    }
    expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
  });

  test("a Uint8Array is read as one, and nothing that resembles it is", async ({ store }) => {
    const { runId } = await givenRun(store);
    const all = Uint8Array.from({ length: 256 }, (_, byte) => byte);
    const values: unknown[] = [
      new Uint8Array(0),
      all,
      all.subarray(3, 100),
      { files: [{ name: "a", content: all }, new Uint8Array([0])] },
      { "$gorkflow.bytes": "AAAA" },
      { "$gorkflow.bytes": "no base64" },
      { "$gorkflow.bytes": all, "$$gorkflow.bytes": [{ "$$$gorkflow.bytes": 1 }] },
      "$gorkflow.bytes",
      { "gorkflow.bytes": "AAAA", $: 1, $$: 2 },
    ];
    for (const value of values) {
      await store.saveState(runId, "k", value);
      expect(await store.loadState(runId, "k")).toEqual(value);
      await store.saveStepOutput(runId, "s", value);
      expect(await store.loadStepOutput(runId, "s")).toEqual(value);
      const given = { input: value, output: value, context: value, error: value };
      const run = await givenRun(store, given);
      expect(run).toMatchObject(given);
      expect(await store.getRun(run.runId)).toMatchObject(given);
      const step = { runId: run.runId, stepId: "s", input: value };
      expect(await store.createStepExecution(step)).toMatchObject({ input: value });
      expect(await store.getStepExecution(run.runId, "s")).toMatchObject({ input: value });
    }
    await store.saveState(runId, "k", all);
    ((await store.loadState(runId, "k")) as Uint8Array)[0] = 9;
    expect(await store.loadState(runId, "k")).toEqual(all);
  });

  test("undefined properties are left out", async ({ store }) => {
    const { runId } = await givenRun(store);
    await store.saveState(runId, "k", { a: undefined, b: 1 });
    expect(Object.keys((await store.loadState(runId, "k")) as object)).toEqual(["b"]);
  });

  test("values that JSON would change are rejected by their path", async ({ store }) => {
    const cycle: unknown[] = [];
    cycle.push({ cycle });
    const holes: number[] = [];
    holes[2] = 1;
    const refused: [unknown, string][] = [
      [{ items: [1, 2, Number.NaN] }, ".items[2]"],
      [{ a: { "b c": Number.POSITIVE_INFINITY } }, '.a["b c"]'],
      [-0, ""],
      [1n, ""],
      [{ at: new Date(0) }, ".at"],
      [new Map(), ""],
      [new Set(), ""],
      [new Uint16Array(1), ""],
      [{ view: new DataView(new ArrayBuffer(1)) }, ".view"],
      [new (class extends Uint8Array {})(1), ""],
      [{ error: new Error("x") }, ".error"],
      [{ f: () => 1 }, ".f"],
      [Symbol("s"), ""],
      [{ [Symbol("s")]: 1 }, ""],
      [Object.defineProperty({}, "x", { get: () => 1, enumerable: true }), ".x"],
      [{ toJSON: () => 1 }, ".toJSON"],
      [[undefined], "[0]"],
      [holes, ""],
      [cycle, "[0].cycle"],
      [undefined, ""],
    ];
    const { runId } = await givenRun(store);
    for (const [value, path] of refused) {
      await rejectsValue(store.saveState(runId, "k", value), `value${path}`);
      await rejectsValue(store.saveStepOutput(runId, "s", value), `output${path}`);
      if (value === undefined) continue;
      for (const column of ["input", "output", "error", "context"]) {
        await rejectsValue(store.createRun(newRun({ [column]: value })), `${column}${path}`);
      }
      await rejects(store.updateRun(runId, { error: value }), "INVALID_VALUE");
      await rejectsValue(
        store.createStepExecution({ runId, stepId: "s", input: value }),
        `input${path}`,
      );
    }
    expect(await store.getAllState(runId)).toEqual({});
    expect(await store.countRuns()).toMatchObject({ PENDING: 1 });
    expect(await store.getRun(runId)).toMatchObject({ revision: 1 });
  });

  test("values are limited in bytes of JSON, inclusive", async ({ store }) => {
    const { runId } = await givenRun(store);
    const update = (column: string) => (bytes: number) =>
      store.updateRun(runId, { [column]: textOfBytes(bytes) });
    const limits: [string, number, (bytes: number) => Promise<unknown>][] = [
      ["input", 2 * MiB, update("input")],
      ["output", 2 * MiB, update("output")],
      ["error", 128 * KiB, update("error")],
      ["context", 128 * KiB, update("context")],
      [
        "tags",
        128 * KiB,
        (bytes) => store.updateRun(runId, { tags: { t: textOfBytes(bytes - '{"t":}'.length) } }),
      ],
      ["output", 4 * MiB, (bytes) => store.saveStepOutput(runId, "s", textOfBytes(bytes))],
      ["value", 4 * MiB, (bytes) => store.saveState(runId, "k", textOfBytes(bytes))],
    ];
    for (const [path, limit, write] of limits) {
      if (limit < maxRowBytes) await write(limit);
      else await rejectsValue(write(limit), path);
      await rejectsValue(write(limit + 1), path);
    }
    if (maxRowBytes === Infinity) {
      expect(await store.getRun(runId)).toMatchObject({ input: textOfBytes(2 * MiB) });
      expect(await store.loadState(runId, "k")).toBe(textOfBytes(4 * MiB));
      return;
    }
    const most = textOfBytes(maxRowBytes - 10 * KiB);
    await store.saveState(runId, "k", most);
    expect(await store.loadState(runId, "k")).toBe(most);
    // A row has all its columns.
    const half = textOfBytes(maxRowBytes / 2 + 200 * KiB);
    const { runId: second } = await givenRun(store, { input: half });
    await rejectsValue(store.updateRun(second, { output: half }), "output");
    expect(await store.getRun(second)).toMatchObject({ input: half, output: null });
  });

  test("arguments and results are never shared", async ({ store }) => {
    const input = { list: [1] };
    const tags = { a: "1" };
    const createdAt = new Date(1000);
    const run = await givenRun(store, { input, tags, createdAt });
    const { runId } = run;
    input.list.push(2);
    tags.a = "2";
    createdAt.setTime(0);
    (run.input as typeof input).list.push(3);
    run.createdAt.setTime(1);
    const read = await store.getRun(runId);
    expect(read).toMatchObject({
      input: { list: [1] },
      tags: { a: "1" },
      createdAt: new Date(1000),
    });
    (read.input as typeof input).list.push(4);
    expect(await store.getRun(runId)).toMatchObject({ input: { list: [1] } });

    const value = { n: 1 };
    await store.saveState(runId, "k", value);
    value.n = 2;
    ((await store.loadState(runId, "k")) as typeof value).n = 3;
    expect(await store.getAllState(runId)).toEqual({ k: { n: 1 } });
    const output = { n: 1 };
    await store.saveStepOutput(runId, "s", output);
    output.n = 2;
    ((await store.loadStepOutput(runId, "s")) as typeof output).n = 3;
    expect(await store.loadStepOutput(runId, "s")).toEqual({ n: 1 });
    const { runs } = await store.listRuns({ payloads: true });
    (runs[0]?.input as typeof input).list.push(5);
    expect(await store.getRun(runId)).toMatchObject({ input: { list: [1] } });
  });
}
