import * as z from "zod/mini";
import { inEnglish } from "../arguments.ts";
import { InvalidArgumentError } from "../errors.ts";
import type { RunFilter, RunQuery } from "../model/run-queries.ts";
import { tagsSchema } from "../schema/zod.ts";
import { runStatuses } from "../statuses.ts";
import { RefusedRequestError } from "./errors.ts";
import { reportNames, type ReportArguments, type ReportName } from "../reports/named-reports.ts";

const longestBody = 64 * 1024;
const pageSize = 50;

/** The query of a list of runs, from the parameters of a URL. */
export function runQueryOf(params: URLSearchParams): RunQuery {
  return {
    ...filterOf(params),
    limit: limitOf(params, pageSize, 1000),
    cursor: params.get("cursor"),
  };
}

function filterOf(params: URLSearchParams): RunFilter {
  const statuses = params.getAll("status").map((text) => {
    const status = runStatuses.find((each) => each === text);
    if (status === undefined) throw invalid("status", `must be one of ${runStatuses.join(", ")}`);
    return status;
  });
  return {
    workflowId: textOf(params, "workflow"),
    status: statuses.length === 0 ? undefined : statuses,
    resourceId: textOf(params, "resource"),
    tags: tagsOf(params),
    createdAfter: timeOf(params, "after"),
    createdBefore: timeOf(params, "before"),
  };
}

/** The report and its options, from the parameters of a URL. */
export function reportOf(params: URLSearchParams): {
  readonly name: ReportName;
  readonly given: ReportArguments;
} {
  const name = reportNames.find((each) => each === params.get("name"));
  if (name === undefined) throw new RefusedRequestError(404, "NOT_FOUND", "no such report");
  return {
    name,
    given: {
      options: {
        workflowId: textOf(params, "workflow"),
        resourceId: textOf(params, "resource"),
        tags: tagsOf(params),
        since: timeOf(params, "since") ?? beginOf(params),
        until: timeOf(params, "until"),
      },
      per: (textOf(params, "per") ?? "day") as ReportArguments["per"],
      zone: textOf(params, "zone"),
      idleMs: undefined,
      limit: limitOf(params, 1000, 10_000),
    },
  };
}

/** @throws {RefusedRequestError} if the parameter is missing. */
export function requiredOf(params: URLSearchParams, name: string): string {
  const value = textOf(params, name);
  if (value === undefined) {
    throw new RefusedRequestError(400, "PARAMETER_MISSING", `the parameter ${name} is missing`);
  }
  return value;
}

function textOf(params: URLSearchParams, name: string): string | undefined {
  const value = params.get(name);
  return value === null || value === "" ? undefined : value;
}

function timeOf(params: URLSearchParams, name: string): Date | undefined {
  const text = textOf(params, name);
  if (text === undefined) return undefined;
  const { success, data } = timeSchema.safeParse(text);
  if (success) return data;
  throw invalid(name, timeRule);
}

function limitOf(params: URLSearchParams, otherwise: number, most: number): number {
  const text = textOf(params, "limit");
  if (text === undefined) return otherwise;
  const limit = Number(text);
  if (/^\d+$/.test(text) && limit >= 1 && limit <= most) return limit;
  throw invalid("limit", `must be a number from 1 to ${most}`);
}

/** When the period begins that ends now, in whole minutes, so that viewers share the answers. */
function beginOf(params: URLSearchParams): Date | undefined {
  const lastMs = textOf(params, "lastMs");
  if (lastMs === undefined) return undefined;
  const begin = new Date(Math.floor(Date.now() / 60_000) * 60_000 - Number(lastMs));
  if (/^\d+$/.test(lastMs) && !Number.isNaN(begin.getTime())) return begin;
  throw invalid("lastMs", "must be a number of milliseconds");
}

function tagsOf(params: URLSearchParams): Record<string, string> | undefined {
  const pairs = params.getAll("tag").map((text) => {
    const at = text.indexOf("=");
    if (at > 0) return [text.slice(0, at), text.slice(at + 1)] as const;
    throw invalid("tag", "must be key=value");
  });
  const tags = new Map(pairs);
  if (tags.size < pairs.length) {
    throw invalid("tag", "has a key twice");
  }
  return pairs.length === 0 ? undefined : Object.fromEntries(tags);
}

const timeRule = "must be a time such as 2026-01-31T12:00:00Z";

const invalid = (argument: string, reason: string) =>
  new InvalidArgumentError({ argument, reason });

const timeSchema = z.pipe(
  z.string().check(z.refine((text) => !Number.isNaN(Date.parse(text)), timeRule)),
  z.transform((text) => new Date(text)),
);

const runSchema = z.strictObject({ runId: z.string() });
const pauseSchema = z.strictObject({
  workflowId: z.string(),
  reason: z.optional(z.string()),
});
const resumeSchema = z.strictObject({ workflowId: z.string() });
const retrySchema = z.strictObject({ runId: z.string(), fromStep: z.optional(z.string()) });

const bulkSchema = z.strictObject({
  action: z.enum(["cancel", "retry", "delete"]),
  dryRun: z.boolean(),
  /** The number of runs that the user has seen in a preview. */
  expectedRuns: z.optional(z.int().check(z.minimum(0))),
  filter: z.strictObject({
    workflowId: z.optional(z.string()),
    status: z.optional(z.array(z.enum(runStatuses)).check(z.minLength(1))),
    resourceId: z.optional(z.string()),
    // A record of zod would leave out the tag `__proto__`, and the filter would match more runs.
    tags: z.optional(tagsSchema),
    createdAfter: z.optional(timeSchema),
    createdBefore: z.optional(timeSchema),
  }),
});

export type BulkRequest = z.output<typeof bulkSchema>;

/** The run that a request names. @throws {RefusedRequestError} if the body is invalid. */
export async function runOf(request: Request): Promise<string> {
  return (await bodyOf(request, runSchema)).runId;
}

/** The run to retry, and the step to begin with. @throws {RefusedRequestError} if the body is invalid. */
export function retryOf(request: Request): Promise<z.output<typeof retrySchema>> {
  return bodyOf(request, retrySchema);
}

/** The workflow to pause, and why. @throws {RefusedRequestError} if the body is invalid. */
export function pauseOf(request: Request): Promise<z.output<typeof pauseSchema>> {
  return bodyOf(request, pauseSchema);
}

/** The workflow to resume. @throws {RefusedRequestError} if the body is invalid. */
export async function resumeOf(request: Request): Promise<string> {
  return (await bodyOf(request, resumeSchema)).workflowId;
}

/** The bulk change that a request asks for. @throws {RefusedRequestError} if the body is invalid. */
export function bulkOf(request: Request): Promise<BulkRequest> {
  return bodyOf(request, bulkSchema);
}

async function bodyOf<Value>(request: Request, bodySchema: z.ZodMiniType<Value>): Promise<Value> {
  const parsed = bodySchema.safeParse(jsonOf(await textOfBody(request)), inEnglish);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const place = issue?.path.join(".") || "body";
  throw new RefusedRequestError(400, "INVALID_BODY", `${place}: ${issue?.message ?? "invalid"}`);
}

/** Reads no more of a body than it may have. */
async function textOfBody({ body }: Request): Promise<string> {
  const decoder = new TextDecoder();
  let [text, bytes] = ["", 0];
  for await (const chunk of body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > longestBody) {
      throw new RefusedRequestError(413, "TOO_LARGE", "the body is too large");
    }
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new RefusedRequestError(400, "INVALID_BODY", "the body is not JSON");
  }
}
