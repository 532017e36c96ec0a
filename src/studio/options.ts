import * as z from "zod/mini";
import { isWorkflow, type Workflow } from "../engine/definition/workflow-builder.ts";
import { functionSchema } from "../model/arguments.ts";
import { tablesSchema } from "../reports/query/options.ts";
import type { WorkflowTables } from "../schema/tables.ts";

/**
 * Returns what the studio shows instead of `value`, which is at `path` in a payload. To show the value, return it
 * unchanged; its own values are then passed in turn.
 *
 * The path begins with `input`, `output`, `error`, `context`, `tags` or `state`: `["input", "customer", "email"]`.
 */
export type Redaction = (path: readonly string[], value: unknown) => unknown;

/** The trace in which a run was started. */
export interface RunTrace {
  readonly runId: string;
  readonly workflowId: string;
  /** As in W3C Trace Context: 32 hexadecimal digits. */
  readonly traceId: string;
}

export interface StudioOptions {
  /** Refuses every request that changes something. Defaults to false. */
  readonly readOnly?: boolean | undefined;
  /**
   * Returns true if the request may be answered. Called for every request, before anything is read. Without it, only
   * requests whose `Host` is a loopback address are answered. That keeps out other sites in a browser, and not other
   * computers: let the server listen on 127.0.0.1 alone.
   */
  readonly authorize?: ((request: Request) => boolean | Promise<boolean>) | undefined;
  /**
   * The values in payloads that are not shown, at any depth: by words in the names of their keys, or by a function.
   * `apiKey` hides `stripeApiKey`, `X-Api-Key` and `API_KEYS`; a word of eight letters or more is also found inside
   * others, as in `dbpassword`. If the function throws, the value is hidden. Defaults to common names of secrets, such as
   * `password` and `token`. An empty list shows everything.
   */
  readonly redact?: readonly string[] | Redaction | undefined;
  /** The path at which the studio is mounted, such as `/admin/studio`. Defaults to the root. */
  readonly basePath?: string | undefined;
  /**
   * Returns the address of a trace, to which the page of a run links, or undefined for no link. Called for runs that were
   * started in a trace of OpenTelemetry.
   */
  readonly traceUrl?: ((trace: RunTrace) => string | undefined) | undefined;
  /**
   * The tables of `createWorkflowTables`, for the reports of a store of your own that has a `db` and no `tables`. Other
   * stores know their tables.
   */
  readonly tables?: WorkflowTables | undefined;
  /** The workflows whose names and descriptions are shown, and those of their steps. Defaults to none. */
  readonly workflows?: readonly Workflow[] | undefined;
}

/** The studio as a handler of requests, which any server that speaks `fetch` can mount. */
export interface Studio {
  /** Answers a request. Never rejects. */
  fetch(request: Request): Promise<Response>;
}

const secretKeys = [
  "password",
  "passwd",
  "pwd",
  "passphrase",
  "secret",
  "clientSecret",
  "token",
  "accessToken",
  "refreshToken",
  "authToken",
  "idToken",
  "sessionToken",
  "sessionId",
  "jwt",
  "apiKey",
  "accessKey",
  "privateKey",
  "signingKey",
  "encryptionKey",
  "credential",
  "authorization",
  "cookie",
] as const;

export const studioOptionsSchema = z.strictObject({
  readOnly: z._default(z.boolean(), false),
  authorize: z.optional(functionSchema<NonNullable<StudioOptions["authorize"]>>()),
  redact: z._default(
    z.union([
      z.array(z.string().check(z.regex(/[\p{L}\p{N}]/u, "must have a letter or a digit"))),
      functionSchema<Redaction>("a list of keys or a function"),
    ]),
    [...secretKeys],
  ),
  basePath: z._default(
    z.pipe(
      z.string().check(z.regex(/^(\/[\w.~-]+)*\/?$/, "must be a path such as /admin/studio")),
      z.transform((path) => path.replace(/\/$/, "")),
    ),
    "",
  ),
  traceUrl: z.optional(functionSchema<NonNullable<StudioOptions["traceUrl"]>>()),
  workflows: z._default(
    z.array(z.custom<Workflow>(isWorkflow, "must be a result of a workflow builder's `build()`")),
    [],
  ),
  tables: z.optional(
    z.pipe(
      tablesSchema,
      z.transform((tables) => tables as WorkflowTables),
    ),
  ),
});
