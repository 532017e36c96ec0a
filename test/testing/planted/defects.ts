import { RunAlreadyExistsError } from "../../../src/errors.ts";
import { decodeJson } from "../../../src/json.ts";
import { MemoryStore } from "../../../src/stores/memory/memory-store.ts";
import { runStatuses } from "../../../src/statuses.ts";
import type { RunQuery } from "../../../src/model/run-queries.ts";
import { createBulkChanges } from "../../../src/stores/bulk-changes.ts";
import type { ReadOptions } from "../../../src/store/options.ts";
import type { WorkflowStore } from "../../../src/store/workflow-store.ts";

/** Methods of a store that are to be other than they should be. */
type Change = (store: WorkflowStore) => Partial<WorkflowStore>;

/** Faults that stores have had, each in words. The conformance suite must fail on every one of them. */
export const defects: Readonly<Record<string, Change>> = {
  "an update loses the fields that it does not name": (store) => ({
    updateRun: async (runId, changes, options) => {
      const { output, error } = await store.getRun(runId);
      void output;
      return store.updateRun(
        runId,
        { tags: null, ...changes, error: changes.error ?? error },
        options,
      );
    },
  }),
  "an update of a step loses the fields that it does not name": (store) => ({
    updateStepExecution: (runId, stepId, changes, options) =>
      store.updateStepExecution(runId, stepId, { attempt: 0, ...changes }, options),
  }),
  "an input that is made of outputs reads as null": (store) => ({
    getStepExecution: async (runId, stepId, options) => {
      const step = await store.getStepExecution(runId, stepId, options);
      return step.inputFrom === null ? step : { ...step, input: null };
    },
  }),
  "an input that is made of outputs is lost in a bundle": (store) => ({
    readBundles: async (query) => {
      const page = await store.readBundles(query);
      const bundles = page.bundles.map((bundle) => ({
        ...bundle,
        steps: bundle.steps.map((step) => ({ ...step, inputFrom: null })),
      }));
      return { ...page, bundles };
    },
  }),
  "an update of a missing row succeeds": (store) => ({
    updateRun: async (runId, changes, options) => {
      try {
        return await store.updateRun(runId, changes, options);
      } catch (error) {
        if ((error as { code?: string }).code !== "RUN_NOT_FOUND") throw error;
        return store.createRun({ runId, workflowId: "invented" });
      }
    },
  }),
  "a duplicate is silently overwritten": (store) => ({
    createRun: async (run, options) => {
      if (typeof run?.runId === "string") await store.deleteRun(run.runId).catch(() => false);
      return store.createRun(run, options);
    },
  }),
  "a Uint8Array of an output is read as an object of numbers": (store) => ({
    loadStepOutput: async (runId, stepId, options) =>
      JSON.parse(JSON.stringify(await store.loadStepOutput(runId, stepId, options))),
  }),
  "an object that resembles a stored Uint8Array is read as one": (store) => ({
    loadState: async (runId, key, options) => {
      const value = await store.loadState(runId, key, options);
      return value instanceof Uint8Array ? value : decodeJson(JSON.stringify(value));
    },
  }),
  "an idempotency key is ignored": (store) => ({
    createRun: (run, options) => store.createRun({ ...run, idempotencyKey: null }, options),
  }),
  "the revision of a run that loses its key is ignored": (store) => ({
    createRun: async (run, options) => {
      const { takeKeyFrom } = options ?? {};
      const holder = takeKeyFrom && (await store.findRun(takeKeyFrom.runId));
      if (!holder) return store.createRun(run, options);
      const { runId, revision } = holder;
      return store.createRun(run, { ...options, takeKeyFrom: { runId, revision } });
    },
  }),
  "the revisions that a batch expects are ignored": (store) => ({
    batch: (collect, options) => store.batch(collect, { ...options, expectedRevisions: undefined }),
  }),
  "the revisions that a batch expects are those after its writes": (store) => ({
    batch: (collect, { expectedRevisions = [], ...options } = {}) =>
      store.transaction(async (tx) => {
        await tx.batch(collect, options);
        await tx.batch(() => {}, { expectedRevisions });
      }),
  }),
  "a run without payloads has null for each": (store) => ({
    getRun: (async (runId: string, options?: ReadOptions) => {
      const run = await store.getRun(runId, options);
      if (options?.payloads !== false) return run;
      return { ...run, input: null, output: null, context: null };
    }) as WorkflowStore["getRun"],
  }),
  "runs that are read by their ids come newest first": (store) => ({
    getRuns: (async (runIds: readonly string[], options?: ReadOptions) => {
      const runs = await store.getRuns(runIds, options);
      return runs.toSorted((a, b) => b.createdAt.getTime() - a.createdAt.getTime());
    }) as WorkflowStore["getRuns"],
  }),
  "of runs that are read by their ids, only those of the first page are found": (store) => ({
    getRuns: (async (runIds: readonly string[], options?: ReadOptions) => {
      const runs = await store.getRuns(runIds, options);
      return runs.slice(0, 3);
    }) as WorkflowStore["getRuns"],
  }),
  "a page that leads back is oldest first": (store) => ({
    listRuns: (async (query?: RunQuery) => {
      const page = await store.listRuns(query);
      if (query?.cursor?.startsWith(".") !== true) return page;
      return { ...page, runs: page.runs.toReversed() };
    }) as WorkflowStore["listRuns"],
  }),
  "the first page has a page before it": (store) => ({
    listRuns: (async (query?: RunQuery) => {
      const page = await store.listRuns(query);
      return { ...page, prevCursor: page.prevCursor ?? page.nextCursor };
    }) as WorkflowStore["listRuns"],
  }),
  "a page that leads back to nothing is empty": (store) => ({
    listRuns: (async (query?: RunQuery) => {
      const page = await store.listRuns(query);
      const isEmpty = query?.cursor?.startsWith(".") === true && page.prevCursor === null;
      return isEmpty ? { ...page, runs: [] } : page;
    }) as WorkflowStore["listRuns"],
  }),
  "a bulk change ignores the tags of its filter": (store) => ({
    cancelRuns: (filter, options) => store.cancelRuns({ ...filter, tags: undefined }, options),
    deleteRuns: (filter, options) => store.deleteRuns({ ...filter, tags: undefined }, options),
  }),
  "a dry run of a bulk change is none": (store) => ({
    reopenRuns: async (filter, options) => ({
      ...(await store.reopenRuns(filter, { ...options, dryRun: false })),
      dryRun: options?.dryRun ?? false,
    }),
  }),
  "unfinished runs are deleted by a filter without a status": (store) => ({
    deleteRuns: (filter, options) =>
      store.deleteRuns({ ...filter, status: filter?.status ?? runStatuses }, options),
  }),
  "a bulk change is one large batch": (store) => ({
    reopenRuns: (filter, options) => store.reopenRuns(filter, { ...options, batchSize: undefined }),
  }),
  "a bulk deletion deletes runs that were reopened meanwhile": (store) => ({
    ...createBulkChanges(
      new Proxy(store, {
        get(target, name) {
          const member: unknown = Reflect.get(target, name, target);
          if (typeof member !== "function") return member;
          return name === "deleteRun"
            ? (runId: string) => target.deleteRun(runId)
            : (member.bind(target) as unknown);
        },
      }),
    ),
  }),
  "an aborted bulk change continues": (store) => ({
    reopenRuns: (filter, options) => store.reopenRuns(filter, { ...options, signal: undefined }),
  }),
  "a deletion ignores the expected revision": (store) => ({
    deleteRun: (runId) => store.deleteRun(runId),
  }),
  "find throws what get throws": (store) => ({
    findRun: store.getRun.bind(store) as WorkflowStore["findRun"],
    findStepExecution: (runId, stepId, options) => store.getStepExecution(runId, stepId, options),
    findState: (runId, key, options) => store.loadStateEntry(runId, key, options),
  }),
  "an output of null is not found": (store) => ({
    findStepOutput: async (runId, stepId, options) => {
      const found = await store.findStepOutput(runId, stepId, options);
      return found?.output === null ? null : found;
    },
  }),
  "steps without payloads keep their input": (store) => ({
    listStepExecutions: async (runId: string) => store.listStepExecutions(runId),
  }),
  "caller and store share what they hold": (store) => {
    const given = new Map<string, unknown>();
    return {
      saveState: async (runId, key, value, options) => {
        const saved = await store.saveState(runId, key, value, options);
        given.set(`${runId} ${key}`, value);
        return saved;
      },
      loadState: async (runId, key, options) => {
        const value = await store.loadState(runId, key, options);
        return given.get(`${runId} ${key}`) ?? value;
      },
      getRun: (() => {
        const seen = new Map<string, Awaited<ReturnType<WorkflowStore["getRun"]>>>();
        return (async (runId: string, options?: ReadOptions) => {
          const run = await store.getRun(runId, options);
          const before = seen.get(runId);
          if (before?.revision === run.revision) return before;
          seen.set(runId, run);
          return run;
        }) as WorkflowStore["getRun"];
      })(),
    };
  },
  "children stay when their run goes": (store) => {
    const outputs = new Map<string, unknown>();
    return {
      saveStepOutput: async (runId, stepId, output, options) => {
        await store.saveStepOutput(runId, stepId, output, options);
        outputs.set(`${runId} ${stepId}`, output);
      },
      loadStepOutput: async (runId, stepId, options) => {
        try {
          return await store.loadStepOutput(runId, stepId, options);
        } catch (error) {
          const kept = outputs.get(`${runId} ${stepId}`);
          if (kept === undefined) throw error;
          return kept;
        }
      },
    };
  },
  "ties have no order": (store) => ({
    listRuns: async (query: never) => {
      const page = await store.listRuns(query);
      return { ...page, runs: page.runs.toReversed() };
    },
  }),
  "a cursor skips a run": (store) => ({
    listRuns: (async (query: { cursor?: string | null } | undefined) => {
      const page = await store.listRuns(query as never);
      if (typeof query?.cursor === "string") page.runs.shift();
      return page;
    }) as WorkflowStore["listRuns"],
  }),
  "a finished run is overwritten": (store) => ({
    updateRun: async (runId, changes, options) => {
      try {
        return await store.updateRun(runId, changes, options);
      } catch (error) {
        if ((error as { code?: string }).code !== "RUN_TRANSITION") throw error;
        await store.reopenRun(runId);
        return store.updateRun(runId, changes, options);
      }
    },
  }),
  "a reopened run keeps its running steps": (store) => ({
    reopenRun: async (runId, options) => {
      const steps = await store.listStepExecutions(runId, { payloads: false });
      const run = await store.reopenRun(runId, options);
      for (const { stepId, status } of steps) {
        if (status === "RUNNING") await store.updateStepExecution(runId, stepId, { status });
      }
      return run;
    },
  }),
  "a run that restarts from a step keeps the outputs of that step": (store) => ({
    reopenRun: async (runId, options) => {
      const stepId = options?.fromStep ?? "";
      const output = stepId === "" ? null : await store.findStepOutput(runId, stepId);
      const run = await store.reopenRun(runId, options);
      if (output !== null) await store.saveStepOutput(runId, stepId, output.output);
      return run;
    },
  }),
  "a run that restarts from a step keeps the attempts of that step": (store) => ({
    reopenRun: async (runId, options) => {
      const stepId = options?.fromStep ?? "";
      const step = stepId === "" ? null : await store.findStepExecution(runId, stepId);
      const run = await store.reopenRun(runId, options);
      if (step !== null) await store.updateStepExecution(runId, stepId, { attempt: step.attempt });
      return run;
    },
  }),
  "a run that restarts from a step keeps the steps after it": (store) => ({
    reopenRun: async (runId, options) => {
      const steps = await store.listStepExecutions(runId, { payloads: false });
      const run = await store.reopenRun(runId, options);
      const first = steps.findIndex(({ stepId }) => stepId === options?.fromStep);
      if (first === -1) return run;
      for (const step of steps.slice(first + 1)) await store.createStepExecution(step);
      return run;
    },
  }),
  "a cancel is lost": (store) => ({
    updateRun: (runId, changes, options) =>
      store.updateRun(
        runId,
        changes?.status === "CANCELLED" ? { ...changes, status: undefined } : changes,
        options,
      ),
  }),
  "a revision is not compared": (store) => ({
    updateRun: (runId, changes, options) =>
      store.updateRun(runId, changes, { ...options, expectedRevision: undefined }),
    saveState: (runId, key, value, options) =>
      store.saveState(runId, key, value, { ...options, expectedRevision: undefined }),
  }),
  "a fence is not looked at": (store) => ({
    updateRun: (runId, changes, options) =>
      store.updateRun(runId, changes, { ...options, workerId: undefined }),
  }),
  "a fence holds when the run has ended": (store) => ({
    saveState: async (runId, key, value, options) => {
      try {
        return await store.saveState(runId, key, value, options);
      } catch (error) {
        const { workerId } = await store.getRun(runId);
        if (workerId !== options?.workerId || options?.attempt !== undefined) throw error;
        return store.saveState(runId, key, value);
      }
    },
  }),
  "claims of one worker id are taken for one": (store) => ({
    saveStepOutput: (runId, stepId, output, options) =>
      store.saveStepOutput(runId, stepId, output, withoutAttempt(options)),
  }),
  "the attempt of a batch's fence is ignored": (store) => ({
    batch: (collect, options) => {
      const fence = options?.fence;
      return store.batch(collect, { ...options, ...(fence && { fence: withoutAttempt(fence) }) });
    },
  }),
  "a late holder releases the lease of the next": (store) => ({
    releaseLease: (lease) => store.releaseLease(withoutAttempt(lease)),
  }),
  "an attempt without a worker is no fence": (store) => ({
    updateRun: (runId, changes, options) =>
      store.updateRun(
        runId,
        changes,
        options?.workerId === undefined ? withoutAttempt(options) : options,
      ),
  }),
  "a lease ends earlier after the clock was set back": (store) => ({
    extendLease: async (lease) => {
      const before = await store.getRun(lease.runId).catch(() => null);
      const end = await store.extendLease(lease);
      const isSetBack = end.getTime() === before?.leaseExpiresAt?.getTime();
      return isSetBack ? new Date(end.getTime() - 3_600_000) : end;
    },
  }),
  "a lease may last for ever": (store) => ({
    claimRuns: (claim) => store.claimRuns({ ...claim, leaseMs: Math.min(claim?.leaseMs, 1e9) }),
  }),
  "a claim takes the oldest runs and leaves out others' afterwards": (store) => ({
    claimRuns: async ({ workflows, ...claim }) => {
      if (workflows === undefined) return store.claimRuns(claim);
      const claimed = await store.claimRuns(claim);
      const isWanted = (run: (typeof claimed)[number]) =>
        workflows.some(
          (one) => one.workflowId === run.workflowId && one.workflowVersion === run.workflowVersion,
        );
      for (const run of claimed) {
        if (!isWanted(run)) await store.updateRun(run.runId, { status: "PENDING" });
      }
      return claimed.filter(isWanted);
    },
  }),
  "a claim does not look at the runs that its worker executes": (store) => ({
    claimRuns: (claim) => store.claimRuns({ ...claim, activeRunIds: [] }),
  }),
  "a claim leaves out PENDING runs that its worker executes": (store) => ({
    claimRuns: async (claim) => {
      const claimed = await store.claimRuns(claim);
      const active = new Set(claim.activeRunIds);
      return claimed.filter(({ runId }) => !active.has(runId));
    },
  }),
  "a claim does not look at the version": (store) => ({
    claimRuns: async ({ workflows, ...claim }) => {
      const [first] = workflows ?? [];
      return store.claimRuns({
        ...claim,
        ...(workflows && {
          workflows: workflows.flatMap((one) => [
            one,
            { ...one, workflowVersion: first?.workflowVersion === "1" ? "2" : "1" },
          ]),
        }),
      });
    },
  }),
  "a claim shows the time of the first claim": (store) => ({
    claimRuns: async (claim) => {
      const claimed = await store.claimRuns(claim);
      for (const run of claimed) run.claimedAt = run.startedAt;
      return claimed;
    },
  }),
  "lost leases are not counted": (store) => ({
    claimRuns: async (claim) => {
      const claimed = await store.claimRuns(claim);
      for (const run of claimed) run.lostLeases = 0;
      return claimed;
    },
  }),
  "lost leases are counted for ever": (store) => {
    const lost = new Map<string, number>();
    return {
      claimRuns: async (claim) => {
        const claimed = await store.claimRuns(claim);
        for (const run of claimed) {
          run.lostLeases = (lost.get(run.runId) ?? 0) + Math.sign(run.lostLeases);
          lost.set(run.runId, run.lostLeases);
        }
        return claimed;
      },
    };
  },
  "releasing looks first and is not fenced": (store) => ({
    releaseLease: async ({ runId, workerId, attempt, ...options }) => {
      const run = await store.getRun(runId, options);
      if (run.workerId !== workerId || (attempt ?? run.attempt) !== run.attempt) {
        return store.releaseLease({ runId, workerId, attempt, ...options });
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
      await store.updateRun(runId, { status: "PENDING" });
    },
  }),
  "two workers get one run": (store) => ({
    claimRuns: async (claim) => {
      const claimed = await store.claimRuns(claim);
      if (claimed.length > 0) return claimed;
      const { runs } = await store.listRuns({ status: "RUNNING" });
      return runs;
    },
  }),
  "a run without a lease is claimed": (store) => ({
    claimRuns: async (claim) => {
      const { runs } = await store.listRuns({ status: "RUNNING" });
      const claimed = await store.claimRuns(claim);
      return [...claimed, ...runs.filter((run) => run.leaseExpiresAt === null)];
    },
  }),
  "an ended run still has a time to wake": (store) => ({
    updateRun: async (runId, changes, options) => {
      const { wakeAt } = await store.getRun(runId);
      const isEnd = ["COMPLETED", "FAILED", "CANCELLED"].includes(changes.status ?? "");
      return store.updateRun(runId, isEnd ? { wakeAt, ...changes } : changes, options);
    },
  }),
  "a run is claimed before it is to wake": (store) => ({
    claimRuns: async (claim) => {
      const { runs } = await store.listRuns({ status: "PENDING" });
      for (const { runId, wakeAt } of runs) {
        if (wakeAt !== null) await store.updateRun(runId, { wakeAt: null });
      }
      return store.claimRuns(claim);
    },
  }),
  "a claim ignores pauses": (store) => ({
    claimRuns: async (claim) => {
      const paused = await store.listPausedWorkflows();
      for (const { workflowId } of paused) await store.resumeWorkflow(workflowId);
      const claimed = await store.claimRuns(claim);
      for (const { workflowId } of paused) await store.pauseWorkflow(workflowId);
      return claimed;
    },
  }),
  "a claim leaves out runs of paused workflows after its limit": (store) => ({
    claimRuns: async (claim) => {
      const paused = await store.listPausedWorkflows();
      const { runs } = await store.listRuns({ status: "PENDING", limit: 1000 });
      const isPaused = (run: { workflowId: string }) =>
        paused.some(({ workflowId }) => workflowId === run.workflowId);
      const place = runs.toReversed().findIndex((run) => !isPaused(run));
      return place >= claim.limit ? [] : store.claimRuns(claim);
    },
  }),
  "a claim of a list of versions ignores pauses": (store) => ({
    claimRuns: async (claim) => {
      const paused = claim.workflows === undefined ? [] : await store.listPausedWorkflows();
      for (const { workflowId } of paused) await store.resumeWorkflow(workflowId);
      const claimed = await store.claimRuns(claim);
      for (const { workflowId } of paused) await store.pauseWorkflow(workflowId);
      return claimed;
    },
  }),
  "expired leases of a paused workflow are claimed": (store) => ({
    claimRuns: async (claim) => {
      const claimed = await store.claimRuns(claim);
      const { runs } = await store.listRuns({ status: "RUNNING" });
      const paused = await store.listPausedWorkflows();
      if (claimed.length > 0 || runs.length === 0 || paused.length === 0) return claimed;
      for (const { workflowId } of paused) await store.resumeWorkflow(workflowId);
      return store.claimRuns(claim);
    },
  }),
  "a pause ends the leases of its workflow": (store) => ({
    pauseWorkflow: async (workflowId, options) => {
      const changed = await store.pauseWorkflow(workflowId, options);
      const { runs } = await store.listRuns({ workflowId, status: "RUNNING" });
      for (const { runId } of runs) await store.updateRun(runId, { status: "PENDING" });
      return changed;
    },
  }),
  "a second pause replaces the first": (store) => ({
    pauseWorkflow: async (workflowId, options) => {
      const changed = !(await store.resumeWorkflow(workflowId));
      await store.pauseWorkflow(workflowId, options);
      return changed;
    },
  }),
  "the reason of a pause is lost": (store) => ({
    pauseWorkflow: async (workflowId, options) => {
      await store.pauseWorkflow(workflowId, options);
      await store.resumeWorkflow(workflowId);
      return store.pauseWorkflow(workflowId, { pausedAt: options?.pausedAt });
    },
  }),
  "a copied pause gets the time of the copy": (store) => ({
    pauseWorkflow: (workflowId, options) =>
      store.pauseWorkflow(workflowId, options?.pausedAt ? { reason: options.reason } : options),
  }),
  "every resumption says that it ended a pause": (store) => ({
    resumeWorkflow: async (workflowId, options) => {
      await store.resumeWorkflow(workflowId, options);
      return true;
    },
  }),
  "a resumption ends all pauses": (store) => ({
    resumeWorkflow: async (workflowId, options) => {
      const changed = await store.resumeWorkflow(workflowId, options);
      for (const pause of await store.listPausedWorkflows()) {
        await store.resumeWorkflow(pause.workflowId);
      }
      return changed;
    },
  }),
  "pauses are listed by UTF-16 code units": (store) => ({
    listPausedWorkflows: async (options) =>
      (await store.listPausedWorkflows(options)).toSorted((a, b) =>
        a.workflowId < b.workflowId ? -1 : 1,
      ),
  }),
  "a pause ends when its workflow has no runs": (store) => ({
    listPausedWorkflows: async (options) => {
      const paused = await store.listPausedWorkflows(options);
      if ((await store.listRuns()).runs.length === 0) return paused.slice(1);
      return paused;
    },
  }),
  "a bundle leaves the attempts out": (store) => ({
    writeBundles: (bundles, options) =>
      store.writeBundles(
        Array.isArray(bundles) ? bundles.map((bundle) => withoutAttempts(bundle)) : bundles,
        options,
      ),
  }),
  "a batch is carried out in part": (store) => ({
    batch: async (collect, options) => {
      const notes: [keyof Parameters<typeof collect>[0], unknown[]][] = [];
      collect(
        new Proxy({} as Parameters<typeof collect>[0], {
          get:
            (_, method: keyof Parameters<typeof collect>[0]) =>
            (...args: unknown[]) =>
              void notes.push([method, args]),
        }),
      );
      for (const [method, args] of notes) {
        await store.batch((write) => Reflect.apply(write[method], write, args), options);
      }
    },
  }),
  "a transaction that fails stays": (store) => ({
    transaction: async (work, options) => {
      options?.signal?.throwIfAborted();
      return work(store);
    },
  }),
  "state is written under a run that is not there": (store) => ({
    saveState: async (runId, key, value, options) => {
      try {
        return await store.saveState(runId, key, value, options);
      } catch (error) {
        if ((error as { code?: string }).code !== "RUN_NOT_FOUND") throw error;
        return { revision: 1 };
      }
    },
  }),
  "a count leaves out what is zero": (store) => ({
    countRuns: async (filter) => {
      const counts = await store.countRuns(filter);
      return Object.fromEntries(
        Object.entries(counts).filter(([, count]) => count > 0),
      ) as typeof counts;
    },
  }),
  "a prune takes runs that are under way": (store) => ({
    pruneRuns: (policy) =>
      store.pruneRuns({
        ...policy,
        statuses: policy?.statuses ?? ["RUNNING", "COMPLETED", "FAILED"],
      }),
  }),
  "a replacement overwrites a newer revision that was to stay": (store) => ({
    writeBundles: (bundles, options) =>
      store.writeBundles(bundles, { ...options, keepNewer: undefined }),
  }),
  "a replacement overwrites newer state of the same revision that was to stay": (store) => ({
    writeBundles: async (bundles, options) => {
      if (options.keepNewer !== true) return store.writeBundles(bundles, options);
      const [kept, replaced] = [{ ...options }, { ...options, keepNewer: undefined }];
      const total = { written: 0, skipped: 0, replaced: 0 };
      for (const bundle of bundles) {
        const { bundles: found } = await store.readBundles({ runIds: [bundle.run.runId] });
        const isSame = found[0]?.run.revision === bundle.run.revision;
        const report = await store.writeBundles([bundle], isSame ? replaced : kept);
        total.written += report.written;
        total.skipped += report.skipped;
        total.replaced += report.replaced;
      }
      return total;
    },
  }),
  "a refused idempotency key does not say which run holds it": (store) => ({
    writeBundles: async (bundles, options) => {
      try {
        return await store.writeBundles(bundles, options);
      } catch (error) {
        if (!(error instanceof RunAlreadyExistsError)) throw error;
        throw new RunAlreadyExistsError({ runId: error.runId });
      }
    },
  }),
  "a transaction is undone by restoring what was there before": (store) => ({
    transaction: async (work, options) => {
      options?.signal?.throwIfAborted();
      const { bundles } = await store.readBundles();
      try {
        return await work(store);
      } catch (error) {
        for (const { runId } of (await store.listRuns()).runs) await store.deleteRun(runId);
        await store.writeBundles(bundles, { onConflict: "replace" });
        throw error;
      }
    },
  }),
  "a savepoint is acknowledged after its transaction has ended": (store) => ({
    transaction: (work, options) =>
      store.transaction((tx) => {
        const transaction: WorkflowStore["transaction"] = (inner, innerOptions) =>
          tx.transaction(inner, innerOptions).catch((error: Error) => {
            if (!error.message.includes("has ended")) throw error;
            return undefined as never;
          });
        const forgiving = new Proxy(tx, {
          get: (target, name) =>
            name === "transaction" ? transaction : Reflect.get(target, name, target),
        });
        return work(forgiving);
      }, options),
  }),
  "a transaction runs although it was aborted while it waited": (store) => ({
    transaction: async (work, options) => {
      options?.signal?.throwIfAborted();
      return store.transaction(work);
    },
  }),
  "an idempotency key is joined to its workflow id by a colon": (store) => {
    const known = new Map<string, string>();
    return {
      createRun: async (run, options) => {
        const key = run?.idempotencyKey;
        const joined = `${run?.workflowId}:${key}`;
        const runId = known.get(joined);
        if (typeof key === "string" && runId !== undefined) return store.getRun(runId);
        const created = await store.createRun(run, options);
        if (typeof key === "string") known.set(joined, created.runId);
        return created;
      },
    };
  },
  "a state key is joined to its run id by a slash": (store) => {
    const values = new Map<string, unknown>();
    return {
      saveState: async (runId, key, value, options) => {
        const saved = await store.saveState(runId, key, value, options);
        values.set(`${runId}/${key}`, structuredClone(value));
        return saved;
      },
      loadState: async (runId, key, options) => {
        const value = await store.loadState(runId, key, options);
        return structuredClone(values.get(`${runId}/${key}`) ?? value);
      },
    };
  },
  "rows of steps are shared with the caller": (store) => {
    const rows = new Map<string, Awaited<ReturnType<WorkflowStore["getStepExecution"]>>>();
    return {
      getStepExecution: async (runId, stepId, options) => {
        const key = JSON.stringify([runId, stepId]);
        const row = rows.get(key) ?? (await store.getStepExecution(runId, stepId, options));
        rows.set(key, row);
        return row;
      },
      updateStepExecution: (runId, stepId, changes, options) => {
        rows.delete(JSON.stringify([runId, stepId]));
        return store.updateStepExecution(runId, stepId, changes, options);
      },
    };
  },
  "an update of a step reads, merges and writes": (store) => ({
    updateStepExecution: async (runId, stepId, changes, options) => {
      const { attempt, error, sleepCount } = await store.getStepExecution(runId, stepId);
      await new Promise((resolve) => setTimeout(resolve, 1));
      const merged = { attempt, error, sleepCount, ...changes };
      return store.updateStepExecution(runId, stepId, merged, options);
    },
  }),
  "a state key that was deleted begins at its first revision": (store) => ({
    deleteState: async (runId, key, options) => {
      await store.deleteState(runId, key, options);
      const { bundles } = await store.readBundles({ runIds: [runId] });
      const [bundle] = bundles;
      if (bundle === undefined) return;
      const run = { ...bundle.run, stateRevision: 0 };
      await store.writeBundles([{ ...bundle, run }], { onConflict: "replace" });
    },
  }),
  "state is listed in another order": (store) => ({
    getAllState: async (runId, options) =>
      Object.fromEntries(Object.entries(await store.getAllState(runId, options)).toReversed()),
  }),
  "a bulk change reads its filter again for each batch": (store) => ({
    deleteRuns: async (filter, options) => {
      const report = { dryRun: false, changedRuns: 0, refusedRuns: 0, refused: [] };
      if (options?.batchSize === undefined) return store.deleteRuns(filter, options);
      for (;;) {
        const { runs } = await store.listRuns({ ...filter, limit: options.batchSize });
        if (runs.length === 0) return report;
        for (const { runId } of runs) if (await store.deleteRun(runId)) report.changedRuns += 1;
      }
    },
  }),
  "a prune looks at the date of its policy when its turn comes": (store) => ({
    pruneRuns: async (policy) => {
      await store.stats();
      return store.pruneRuns(policy);
    },
  }),
  "a closed store goes on": () => ({ close: async () => undefined }),
};

function withoutAttempt<Options>(options: Options): Options {
  return typeof options === "object" && options !== null
    ? { ...options, attempt: undefined }
    : options;
}

/** A MemoryStore with a fault; without one when the change is empty. */
export function defectiveStore(clock: () => Date, change: Change): WorkflowStore {
  const store = new MemoryStore({ clock });
  const changed: Partial<Record<PropertyKey, unknown>> = change(store);
  return new Proxy(store, {
    get(target, name) {
      const member: unknown = changed[name] ?? Reflect.get(target, name, target);
      return typeof member === "function" ? member.bind(target) : member;
    },
  });
}

function withoutAttempts<Bundle>(bundle: Bundle): Bundle {
  if (typeof bundle !== "object" || bundle === null) return bundle;
  return Object.fromEntries(
    Object.entries(bundle).filter(([list]) => list !== "attempts"),
  ) as Bundle;
}
