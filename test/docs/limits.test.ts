import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Engine } from "../../src/engine/engine.ts";
import { describeError } from "../../src/engine/run/step-errors.ts";
import { encodeJson } from "../../src/json.ts";
import { retryDelayMs } from "../../src/model/backoff.ts";
import { parseClaim } from "../../src/model/leases.ts";
import { parsePrunePolicy } from "../../src/model/retention.ts";
import { pageBytes } from "../../src/model/run-queries.ts";
import { jsonLimits } from "../../src/schema/columns.ts";
import { isId, timeoutSchema } from "../../src/schema/zod.ts";
import { defaultTimeoutMs } from "../../src/stores/sqlite/connections/timeouts.ts";
import { MemoryStore } from "../../src/stores/memory/memory-store.ts";
import { root } from "./support/code-blocks.ts";

const accepts = (call: () => unknown): boolean => {
  try {
    call();
    return true;
  } catch {
    return false;
  }
};

/** The largest number up to `high` that the check accepts. */
function largest(check: (value: number) => boolean, high = 2 ** 53): number {
  let [low, top] = [0, high];
  while (low < top) {
    const middle = Math.ceil((low + top) / 2);
    if (check(middle)) low = middle;
    else top = middle - 1;
  }
  return low;
}

const nested = (levels: number): unknown =>
  Array.from({ length: levels - 1 }).reduce<unknown>((inner) => [inner], []);
const claim = { workerId: "w", leaseMs: 1, limit: 1 };
const engine = (options: object) => accepts(() => new Engine(new MemoryStore(), options));
const long = "x".repeat(100_000);
const failure = Object.assign(new Error(long), { name: long });
const chain = (levels: number): Error =>
  levels === 1 ? new Error("last") : new Error("outer", { cause: chain(levels - 1) });
const storedLevels = (error: { cause?: object } | undefined): number =>
  error === undefined ? 0 : 1 + storedLevels(error.cause);

const KiB = 1024;
const MiB = 1024 * KiB;
const yearMs = 365 * 24 * 60 * 60 * 1000;

test("the page of limits has the limits of the code", async () => {
  const page = await readFile(join(root, "docs/limits.md"), "utf8");
  const rows = [...page.matchAll(/^\| ([^|]+?) +\| ([^|]+?) +\|$/gm)];
  const documented = Object.fromEntries(rows.map(([, name = "", limit = ""]) => [name, limit]));
  const format = (value: number) => value.toLocaleString("en-US");
  const measured = {
    "run input, run output, step input of its own": `${jsonLimits.payload / MiB} MiB`,
    "step output, state value": `${jsonLimits.value / MiB} MiB`,
    "`error`, `context`, `tags` of a run": `${jsonLimits.detail / KiB} KiB`,
    "nesting of a JSON value": format(
      largest(
        (levels) => levels === 0 || accepts(() => encodeJson(nested(levels), "v", MiB)),
        5000,
      ),
    ),
    "ids, idempotency keys, state keys": `1 to ${largest((size) => isId("x".repeat(size || 1)), 999)} `,
    "stored error: message": format(describeError(failure).message.length),
    "stored error: name and code": format(describeError(failure).name.length),
    "stored error: chain of causes": `${storedLevels(describeError(chain(9)))} levels`,
    "bytes in a page of `listRuns` or `readBundles`": `${pageBytes / MiB} MiB`,
    "runs in a claim": format(
      largest((limit) => limit === 0 || accepts(() => parseClaim({ ...claim, limit }))),
    ),
    "`concurrency` of an engine": format(
      largest((concurrency) => concurrency === 0 || engine({ concurrency })),
    ),
    "runs per transaction of `pruneRuns`": format(
      largest(
        (batchSize) =>
          batchSize === 0 || accepts(() => parsePrunePolicy({ olderThan: new Date(), batchSize })),
      ),
    ),
    "`leaseMs`": `1 ms to ${
      largest((leaseMs) => leaseMs === 0 || accepts(() => parseClaim({ ...claim, leaseMs }))) /
      yearMs
    } year`,
    "delay of a retry": `${
      retryDelayMs({ delayMs: 1e12, backoff: "constant" }, 1) / (60 * 60 * 1000)
    } hours at most`,
    "`timeoutMs` of a run": format(
      largest((value) => value === 0 || timeoutSchema.safeParse(value).success),
    ),
    "`timeoutMs` of a call on a server": format(defaultTimeoutMs),
  };
  const differing = Object.entries(measured).filter(
    ([name, limit]) => documented[name]?.includes(limit) !== true,
  );
  expect(differing).toEqual([]);
});
