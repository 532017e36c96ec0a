import { Hono } from "hono/tiny";
import { parseArgument } from "../arguments.ts";
import { labelsOf } from "../engine/definition/workflow-builder.ts";
import { Engine } from "../engine/engine.ts";
import { RunNotFoundError } from "../errors.ts";
import { checkStore, parseId } from "../model/arguments.ts";
import type { RunFilter } from "../model/run-queries.ts";
import type { WorkflowStore } from "../store/workflow-store.ts";
import { SharedAnswers } from "./answers.ts";
import { describeError, RefusedRequestError } from "./errors.ts";
import { refuseOtherHosts, refuseOtherSites, securityHeaders } from "./guards.ts";
import { LiveUpdates } from "./live.ts";
import { studioOptionsSchema, type Studio, type StudioOptions } from "./options.ts";
import { loadPage, type PageFile } from "./page-files.ts";
import { createRedactor } from "./payloads.ts";
import { StudioReader } from "./reading.ts";
import {
  bulkOf,
  pauseOf,
  reportOf,
  requiredOf,
  resumeOf,
  retryOf,
  runOf,
  runQueryOf,
  type BulkRequest,
} from "./requests.ts";

/** The paths at which the page is shown. Its script knows which one it is. */
const pagePaths = ["/", "/runs", "/run", "/workflows", "/reports", "/schema"];

/**
 * Returns the studio, a page to see and change the runs of a store, as a handler of requests.
 *
 * It reads and writes by the operations of the store and by reports. A request is answered if `authorize` returns true;
 * without this option, only requests whose `Host` is a loopback address are, so let the server listen on 127.0.0.1 alone.
 *
 * @throws {InvalidArgumentError} that names the argument or the option.
 */
export function createStudio(store: WorkflowStore, options: StudioOptions = {}): Studio {
  checkStore(store, "store");
  const { readOnly, authorize, redact, basePath, tables, traceUrl, workflows } = parseArgument(
    studioOptionsSchema,
    options,
    "options",
  );
  const reader = new StudioReader(store, { redact: createRedactor(redact), tables, traceUrl });
  const answers = new SharedAnswers();
  // A page that is told of a change must not get an answer from before it.
  const live = new LiveUpdates(store, () => answers.forget());
  let page: Promise<Readonly<Record<string, PageFile>>> | null = null;

  const answer = async (request: Request, read: () => Promise<unknown>) => {
    const { pathname, search } = new URL(request.url);
    return jsonResponse(await answers.get(pathname + search, read));
  };
  const change = async (work: (engine: Engine) => Promise<unknown>) => {
    const engine = new Engine(store);
    try {
      return jsonResponse(JSON.stringify((await work(engine)) ?? {}));
    } finally {
      await engine.close();
      answers.forget();
    }
  };
  const file = async (name: string) => {
    const files = await (page ??= loadPage());
    const found = Object.hasOwn(files, name) ? files[name] : undefined;
    if (found === undefined) throw new RefusedRequestError(404, "NOT_FOUND", "no such file");
    const body =
      name === "index.html" ? found.body.replaceAll("%BASE%", `${basePath}/`) : found.body;
    return new Response(body, {
      headers: { "content-type": found.type, "cache-control": "no-cache" },
    });
  };

  const app = new Hono().basePath(basePath === "" ? "/" : basePath);
  app.use("*", async (context, next) => {
    const request = context.req.raw;
    // A response, such as a redirection, is not a permission.
    const permission: unknown = await authorize?.(request.clone());
    if (authorize === undefined) refuseOtherHosts(request);
    else if (permission !== true) {
      throw new RefusedRequestError(403, "NOT_AUTHORIZED", "the request is not authorized");
    }
    const { method } = request;
    if (!["GET", "HEAD", "POST"].includes(method)) {
      throw new RefusedRequestError(405, "METHOD", "only GET, HEAD and POST are answered");
    }
    refuseOtherSites(request);
    if (method === "POST" && readOnly) {
      throw new RefusedRequestError(403, "READ_ONLY", "the studio is read-only");
    }
    await next();
  });

  for (const path of pagePaths) app.get(path, () => file("index.html"));
  app.get("/assets/:name", ({ req }) => file(req.param("name")));

  const read = (path: string, ask: (params: URLSearchParams) => Promise<unknown>) =>
    app.get(`/api/${path}`, ({ req }) => answer(req.raw, () => ask(new URL(req.url).searchParams)));
  const labels = workflows.map(labelsOf);
  read("meta", async () => ({ readOnly, hasReports: reader.hasReports, workflows: labels }));
  read("pauses", async () => ({ pauses: await store.listPausedWorkflows() }));
  read("counts", (params) => reader.counts(runQueryOf(params)));
  read("runs", (params) => reader.runs(runQueryOf(params)));
  read("find", (params) => reader.find(requiredOf(params, "id")));
  read("run", (params) => reader.run(requiredOf(params, "id")));
  read("step", (params) => reader.step(requiredOf(params, "id"), requiredOf(params, "step")));
  read("schema", () => reader.schema());
  read("doctor", () => reader.doctor());
  read("report", async (params) => {
    const { name, given } = reportOf(params);
    return reader.report(name, given);
  });
  app.get("/api/report.csv", async ({ req }) => {
    const { name, given } = reportOf(new URL(req.url).searchParams);
    return textResponse(await reader.csv(name, given), "text/csv", `${name}.csv`);
  });
  app.get("/api/payload", async ({ req }) => {
    const params = new URL(req.url).searchParams;
    const kind = requiredOf(params, "kind");
    const text = await reader.payload(requiredOf(params, "id"), kind, params.get("step"));
    return textResponse(text, "text/plain", params.has("download") ? `${kind}.json` : null);
  });
  app.get("/api/live", ({ req }) => {
    const runId = new URL(req.url).searchParams.get("id");
    return live.open(runId === null ? null : parseId(runId, "id"), req.raw);
  });

  app.post("/api/cancel", async ({ req }) => {
    const runId = await runOf(req.raw);
    return change((engine) => engine.cancel(runId));
  });
  app.post("/api/retry", async ({ req }) => {
    const { runId, fromStep } = await retryOf(req.raw);
    return change((engine) => engine.retry(runId, { fromStep }));
  });
  app.post("/api/delete", async ({ req }) => {
    const runId = await runOf(req.raw);
    return change(async () => {
      if (!(await store.deleteRun(runId))) throw new RunNotFoundError({ runId });
    });
  });
  app.post("/api/pause", async ({ req }) => {
    const { workflowId, reason } = await pauseOf(req.raw);
    return change(async () => ({ changed: await store.pauseWorkflow(workflowId, { reason }) }));
  });
  app.post("/api/resume", async ({ req }) => {
    const workflowId = await resumeOf(req.raw);
    return change(async () => ({ changed: await store.resumeWorkflow(workflowId) }));
  });
  app.post("/api/bulk", async ({ req }) => {
    const asked = await bulkOf(req.raw);
    return change((engine) => changeRuns(store, engine, asked, req.raw.signal));
  });

  app.notFound(() => {
    throw new RefusedRequestError(404, "NOT_FOUND", "there is no such page");
  });
  app.onError(errorResponse);

  // Hono passes on what is thrown and is not an `Error`.
  const answered = async (request: Request) => {
    try {
      return await app.fetch(request);
    } catch (error) {
      return errorResponse(error);
    }
  };

  return {
    async fetch(request) {
      const response = await answered(request);
      const headers = new Headers(response.headers);
      for (const [name, value] of Object.entries(securityHeaders)) headers.set(name, value);
      return new Response(response.body, { status: response.status, headers });
    },
  };
}

/**
 * Changes the runs that match, or counts them on a dry run.
 *
 * @throws {RefusedRequestError} if another number of runs matches than the user has seen. Nothing is changed then.
 */
async function changeRuns(
  store: WorkflowStore,
  engine: Engine,
  { action, filter, dryRun, expectedRuns }: BulkRequest,
  signal: AbortSignal,
): Promise<unknown> {
  // Runs of the current millisecond match, too.
  const { createdBefore = new Date(Date.now() + 1) } = filter;
  const bounded = { ...filter, createdBefore };
  const change = {
    cancel: (options: BulkOptions) => engine.cancelRuns(bounded as RunFilter<"PENDING">, options),
    retry: (options: BulkOptions) => store.reopenRuns(bounded as RunFilter<"FAILED">, options),
    delete: (options: BulkOptions) => store.deleteRuns(bounded, options),
  }[action];
  if (!dryRun && expectedRuns !== undefined) {
    const { changedRuns: matching } = await change({ dryRun: true, signal });
    if (matching !== expectedRuns) {
      const message = `${matching} runs match now, and not ${expectedRuns}: nothing was changed`;
      throw new RefusedRequestError(409, "PREVIEW_CHANGED", message);
    }
  }
  const { changedRuns, refusedRuns, refused } = await change({ dryRun, signal });
  const messages = refused.map(({ error }) => error.message);
  return { dryRun, changedRuns, refusedRuns, refused: messages, createdBefore };
}

interface BulkOptions {
  readonly dryRun: boolean;
  readonly signal: AbortSignal;
}

function errorResponse(error: unknown): Response {
  const { status, error: shown } = describeError(error);
  return jsonResponse(JSON.stringify({ error: shown }), status);
}

function jsonResponse(text: string, status = 200): Response {
  const headers = { "content-type": "application/json", "cache-control": "no-store" };
  return new Response(text, { status, headers });
}

function textResponse(text: string, type: string, download: string | null): Response {
  const headers: Record<string, string> = {
    "content-type": `${type}; charset=utf-8`,
    "cache-control": "no-store",
  };
  if (download !== null) headers["content-disposition"] = `attachment; filename="${download}"`;
  return new Response(text, { headers });
}
