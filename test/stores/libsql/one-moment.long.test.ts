import { createClient } from "@libsql/client";
import { drizzle } from "drizzle-orm/libsql";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { RunBundle } from "../../../src/model/bundles.ts";
import { migrate } from "../../../src/migrations/migrate.ts";
import { LibSQLStore, type HostDatabase } from "../../../src/stores/libsql/libsql-store.ts";
import { compileProgram, startProgram } from "../../support/child-processes.ts";
import { startSqld, type Sqld } from "../../support/sqld.ts";
import { temporaryFolder, type TemporaryFolder } from "../../support/temporary.ts";

let folder: TemporaryFolder;
let server: Sqld;
let program: string;
beforeAll(async () => {
  folder = await temporaryFolder();
  server = await startSqld();
  program = await compileProgram(`${import.meta.dirname}/programs/keep-in-step.ts`);
});
afterAll(async () => {
  await server.stop();
  await folder.remove();
});

const numbersOf = ({ run, steps, outputs, state }: RunBundle): unknown[] => [
  Math.round(run.progress * 1e9),
  steps[0]?.input,
  outputs[0]?.output,
  state.find(({ key }) => key === "n")?.value,
];

const backends: Readonly<
  Record<string, { url: () => string; open: (url: string) => Promise<LibSQLStore<HostDatabase>> }>
> = {
  "a file": { url: () => folder.database("own.db"), open: (url) => LibSQLStore.open(url) },
  "a file of @libsql/client": {
    url: () => folder.database("host.db"),
    open: async (url) => {
      const db = drizzle({ client: createClient({ url }) });
      await db.run("pragma journal_mode = wal");
      await migrate(db);
      return new LibSQLStore(db);
    },
  },
  "a server over HTTP": { url: () => server.httpUrl, open: (url) => LibSQLStore.open(url) },
  "a server over WebSocket": {
    url: () => server.webSocketUrl,
    open: (url) => LibSQLStore.open(url),
  },
};

test.each(Object.entries(backends))(
  "a bundle is one moment of its run on %s, while another process changes it",
  async (_, { url, open }) => {
    const store = await open(url());
    await store.deleteRun("r");
    await store.createRun({ runId: "r", workflowId: "w" });
    await store.createStepExecution({ runId: "r", stepId: "s", executionIndex: 0, input: 0 });
    await store.saveStepOutput("r", "s", 0);
    await store.saveState("r", "n", 0);
    const writer = startProgram(program, [url()]);
    await writer.message(() => true);
    const torn: unknown[][] = [];
    const seen = new Set<unknown>();
    const look = async (until: number) => {
      const end = performance.now() + until;
      while (performance.now() < end) {
        const [bundle] = (await store.readBundles({ runIds: ["r"] })).bundles;
        if (bundle === undefined) throw new Error("the run is gone");
        const numbers = numbersOf(bundle);
        seen.add(numbers[0]);
        if (new Set(numbers).size > 1) torn.push(numbers);
      }
    };
    await look(700);
    // A run that takes several answers.
    for (let n = 0; n < 3; n++) await store.saveState("r", `large-${n}`, "x".repeat(1_900_000));
    await look(1500);
    await writer.kill();
    expect(torn).toEqual([]);
    expect(seen.size).toBeGreaterThan(1);
    await store.close();
  },
  30_000,
);

test.each(["a file", "a server over HTTP"])(
  "a step and the output that its input is made of are one moment on %s",
  async (backend) => {
    const { url, open } = backends[backend] ?? expect.unreachable();
    const [store, writer] = [await open(url()), await open(url())];
    await store.createRun({ runId: "t", workflowId: "w" });
    await store.saveStepOutput("t", "a", 0);
    await store.createStepExecution({ runId: "t", stepId: "b", inputFrom: "a" });
    let isDone = false;
    const look = async () => {
      const torn: unknown[] = [];
      while (!isDone) {
        const step = await store.getStepExecution("t", "b");
        const [listed] = await store.listStepExecutions("t");
        for (const one of [step, listed]) {
          if (one?.attempt !== one?.input) torn.push([one?.attempt, one?.input]);
        }
      }
      return torn;
    };
    const looking = look();
    for (let n = 1; n < 200; n++) {
      await writer.batch((write) => {
        write.saveStepOutput("t", "a", n);
        write.updateStepExecution("t", "b", { attempt: n });
      });
    }
    isDone = true;
    expect(await looking).toEqual([]);
    await store.close();
    await writer.close();
  },
);
