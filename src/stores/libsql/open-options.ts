import * as z from "zod/mini";
import { maxTimerMs } from "../../async/pause.ts";
import { parseArgument } from "../../arguments.ts";
import type { JournalMode } from "../../client/config.ts";
import type { DrizzleConfig } from "../../drizzle-types.ts";
import { isDrizzle1 } from "../../drizzle.ts";
import { positiveTimerMsSchema, timerMsSchema } from "../../model/times.ts";
import type { WorkflowTables } from "../../schema/tables.ts";
import { storeOptionsShape, type StoreOptions } from "../sqlite/store-options.ts";

/** Options of `LibSQLStore.open`. An option that would have no effect is rejected by name. */
export interface OpenOptions<
  Schema extends Record<string, unknown> = Record<string, never>,
  Tables extends WorkflowTables = WorkflowTables,
> extends StoreOptions<Tables> {
  /** `file:…`, `:memory:`, `libsql://…`, `http(s)://…` or `ws(s)://…`; may carry `?authToken=…`. */
  readonly url: string;
  /** The token of a server. It is sent over TLS or to this machine, and never over an unencrypted connection to another. */
  readonly authToken?: string | undefined;
  /**
   * A read replica of the server at `url`, for the reads of the store; both over HTTP. If the replica does not have
   * everything that this store has written or read, the primary is asked. A replica that does not answer, at opening or
   * later, is not used for a while. `db` uses `url` only.
   */
  readonly readUrl?: string | undefined;
  /**
   * The primary, over HTTP, of an embedded replica whose copy is the file at `url`. Writes go to the primary. The copy
   * is synced at opening, and before a read if it lacks a write of this process. If the primary cannot be reached at
   * opening, an existing copy is used.
   */
  readonly syncUrl?: string | undefined;
  /** The seconds between regular syncs of an embedded replica, for the writes of others. Defaults to no regular syncs. */
  readonly syncIntervalSeconds?: number | undefined;
  /** Local files only. */
  readonly encryptionKey?: string | undefined;
  /**
   * For local files: writes survive power loss with `full` (the default), and a crash of the process with `normal`. A
   * server has its own setting.
   */
  readonly durability?: "full" | "normal" | undefined;
  /**
   * The journal mode of a local file. By default a new file gets a write-ahead log (`wal`), and an existing file keeps its
   * mode. The other modes are for file systems without shared memory, such as network file systems.
   */
  readonly journalMode?: JournalMode | undefined;
  /**
   * The maximum milliseconds of a call on a server, with its retries. Defaults to 30000. It applies to each call of a
   * transaction, and to each page or batch of an operation.
   */
  readonly timeoutMs?: number | undefined;
  /** For local databases: how long to wait for the lock of another process, in milliseconds. Defaults to 5000. */
  readonly busyTimeoutMs?: number | undefined;
  /** False checks the schema instead of migrating it. Implied by `tables`. */
  readonly migrate?: boolean | undefined;
  /** The options of your own `drizzle({ … })` call. The store's `db` has them, and its transactions have their types. */
  readonly drizzle?: DrizzleConfig<Schema> | undefined;
  /** Opens a local file without changing it. The tables are only checked. */
  readonly readOnly?: boolean | undefined;
}

/** True for `http://user:password@…`. A libSQL server accepts only a token. */
export function hasCredentials(url: string): boolean {
  return /^\w+:\/\/[^/?#]*@/.test(url);
}

/** The URL of a server without its token, and the token: the one in the URL, or else the given one. */
export function separateToken(
  url: string,
  authToken: string | undefined,
): { readonly url: string; readonly authToken?: string } {
  const parsed = parseServerUrl(url);
  const token = parsed?.searchParams.get("authToken") ?? authToken;
  if (parsed === null || token === undefined) return { url };
  const [address = "", query] = url.split("?", 2);
  const others = (query ?? "").split("&").filter((pair) => pair !== "" && !isToken(pair));
  return {
    url: [address, ...(others.length > 0 ? [others.join("&")] : [])].join("?"),
    authToken: token,
  };
}

function isToken(pair: string): boolean {
  return new URLSearchParams(pair).has("authToken");
}

/** True if requests to the URL are not encrypted and leave this machine. */
function isExposed(url: string): boolean {
  const parsed = parseServerUrl(url);
  if (parsed === null) return false;
  const isPlain =
    /^(http|ws):/.test(url) ||
    (url.startsWith("libsql:") && parsed.searchParams.get("tls") === "0");
  return isPlain && !/^(localhost|.+\.localhost|127(\.\d+){3}|\[::1\])$/.test(parsed.hostname);
}

/** Null if it is not a URL, which the client reports. */
function parseServerUrl(url: string): URL | null {
  try {
    return new URL(url.replace(/^libsql:/, "https:"));
  } catch {
    return null;
  }
}

/** True if both URLs have one server and are equally safe. */
export function isSameServer(first: string, second: string): boolean {
  const [one, other] = [first, second].map((url) => parseServerUrl(url.replace(/^ws/, "http")));
  return one != null && other != null && one.protocol !== "file:" && one.origin === other.origin;
}

export function isServer(url: string): boolean {
  return /^(libsql|https?|wss?):/.test(url);
}

const withoutCredentials = z.string().check(
  z.refine((url) => !hasCredentials(url), {
    error: "must have no user and no password, which no libSQL server takes: it takes a token",
  }),
);

const urlSchema = withoutCredentials.check(
  z.refine((url) => url === ":memory:" || url.startsWith("file:") || isServer(url), {
    error: "must be :memory: or begin with file:, libsql:, http:, https:, ws: or wss:",
  }),
);

const httpUrlSchema = withoutCredentials.check(
  z.refine((url) => /^(libsql|https?):/.test(url), {
    error: "must begin with libsql:, http: or https:",
  }),
);

const ownObject = z.optional(z.custom<object>(isObject, "must be an object"));
const drizzleSchema = z.pipe(
  z.strictObject({
    logger: z.optional(z.custom((value) => typeof value === "boolean" || isObject(value))),
    cache: z.optional(z.custom(isObject, "must be a cache of Drizzle")),
    ...(isDrizzle1
      ? {
          relations: ownObject,
          codecs: ownObject,
          jit: z.optional(z.boolean()),
          paramsInErrors: z.optional(z.boolean()),
        }
      : { schema: ownObject, casing: z.optional(z.enum(["snake_case", "camelCase"])) }),
  }),
  z.transform((config) => config as { readonly schema?: object; readonly relations?: object }),
);

function isObject(value: unknown): boolean {
  return typeof value === "object" && value !== null;
}

export const openOptionsSchema = z
  .strictObject({
    url: urlSchema,
    authToken: z.optional(z.string()),
    readUrl: z.optional(httpUrlSchema),
    syncUrl: z.optional(httpUrlSchema),
    syncIntervalSeconds: z.optional(
      z.number().check(z.positive(), z.maximum(Math.floor(maxTimerMs / 1000))),
    ),
    encryptionKey: z.optional(z.string()),
    durability: z.optional(z.enum(["full", "normal"])),
    journalMode: z.optional(z.enum(["wal", "delete", "truncate", "persist"])),
    timeoutMs: z.optional(positiveTimerMsSchema),
    busyTimeoutMs: z.optional(timerMsSchema),
    migrate: z.optional(z.boolean()),
    drizzle: z.optional(drizzleSchema),
    readOnly: z.optional(z.boolean()),
    ...storeOptionsShape,
  })
  .check(
    z.superRefine((options, { addIssue }) => {
      const { url, syncUrl, authToken } = options;
      const onServer = isServer(url);
      const refuse = (option: keyof typeof options, message: string) => {
        if (options[option] !== undefined) addIssue({ code: "custom", path: [option], message });
      };
      if (!/^(libsql|https?):/.test(url)) {
        refuse("readUrl", "is for a server at an url that begins with libsql:, http: or https:");
      }
      if (!url.startsWith("file:")) {
        refuse("syncUrl", "is for a copy in a file: the url must begin with file:");
      }
      if (onServer) refuse("encryptionKey", "is for a local file: a server encrypts by itself");
      if (onServer || syncUrl !== undefined) {
        refuse("durability", "is for a local file: a server decides for itself");
        refuse("busyTimeoutMs", "is for a local database: a server has timeoutMs");
      } else {
        refuse("authToken", "is for a server: the url is a local database");
        refuse("timeoutMs", "is for a server: a local database has busyTimeoutMs");
      }
      if (syncUrl === undefined)
        refuse("syncIntervalSeconds", "is for an embedded replica: it needs syncUrl");
      if (options.migrate === true && options.tables !== undefined) {
        refuse("migrate", "cannot be true with tables: their migrations are your own");
      }
      if (!url.startsWith("file:") || syncUrl !== undefined) {
        refuse("readOnly", "is for a database in a file");
        refuse("journalMode", "is for a local file");
      }
      if (options.readOnly === true) {
        if (options.migrate === true) refuse("migrate", "cannot be true with readOnly");
        refuse("journalMode", "cannot be set with readOnly, which changes nothing");
      }
      for (const option of ["url", "readUrl", "syncUrl"] as const) {
        const target = options[option];
        if (target === undefined || !isExposed(target)) continue;
        const message =
          "is not sent over a plain connection to another machine: use https:, wss: or libsql:";
        if (parseServerUrl(target)?.searchParams.has("authToken")) {
          addIssue({
            code: "custom",
            path: [option],
            message: `carries a token, which ${message}`,
          });
        } else if (authToken !== undefined) {
          addIssue({ code: "custom", path: ["authToken"], message });
        }
      }
    }),
  );

export type ParsedOpenOptions = z.output<typeof openOptionsSchema>;

/** @throws {InvalidArgumentError} that names the option, never its value. */
export function parseOpenOptions(
  options: string | OpenOptions<Record<string, unknown>>,
): ParsedOpenOptions {
  return parseArgument(
    openOptionsSchema,
    typeof options === "string" ? { url: options } : options,
    "options",
  );
}
