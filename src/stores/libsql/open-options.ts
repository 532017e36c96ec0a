import * as z from "zod";
import { parseArgument } from "../../arguments.ts";
import type { DrizzleConfig } from "../../drizzle-types.ts";
import { isDrizzle1 } from "../../drizzle.ts";
import { storeOptionsShape, type StoreOptions } from "./store-options.ts";

/** How `LibSQLStore.open` reaches its database. An option that would have no effect is refused by name. */
export interface OpenOptions<
  Schema extends Record<string, unknown> = Record<string, never>,
> extends StoreOptions {
  /** `file:…`, `:memory:`, `libsql://…`, `http(s)://…` or `ws(s)://…`; may carry `?authToken=…`. */
  readonly url: string;
  /** For a server, over TLS or on this machine: a token is never sent over a plain connection to another one. */
  readonly authToken?: string | undefined;
  /**
   * A read replica of the server at `url`, where reads of the store go; both over HTTP. What this store has
   * written, or seen, and the replica does not have yet is read from the primary. It is asked at opening, and left
   * out for a while whenever it does not answer. `db` uses `url` only.
   */
  readonly readUrl?: string | undefined;
  /**
   * The primary, over HTTP, of an embedded replica whose copy is the file at `url`. Writes go to the primary. The
   * copy is synced at opening and whenever it lacks what was written here; when the primary cannot be reached at
   * opening, the copy of before is used.
   */
  readonly syncUrl?: string | undefined;
  /** Seconds between two more syncs of an embedded replica, which bring what others have written; defaults to none. */
  readonly syncIntervalSeconds?: number | undefined;
  /** Local files only. */
  readonly encryptionKey?: string | undefined;
  /**
   * Local files: `full` (the default) survives power loss, `normal` a crash of the process. A server decides
   * for itself.
   */
  readonly durability?: "full" | "normal" | undefined;
  /**
   * How long a call may take on a server, in milliseconds, with all its retries; defaults to 30000. Inside a
   * transaction it holds for each call, and operations that work in pages or batches have it for each of them.
   */
  readonly timeoutMs?: number | undefined;
  /** Local databases: how long a lock of another process is waited for; defaults to 5000. */
  readonly busyTimeoutMs?: number | undefined;
  /** False checks the schema instead of migrating it. Implied by `tables`. */
  readonly migrate?: boolean | undefined;
  /** What your own `drizzle({ … })` call has: the store's `db` is made with it, and its transactions are typed by it. */
  readonly drizzle?: DrizzleConfig<Schema> | undefined;
  /** A local file: opened as it is, without a change to it, and never written to. The tables are only checked. */
  readonly readOnly?: boolean | undefined;
}

/** True for `http://user:password@…`: a libSQL server takes a token, and nothing else. */
export function hasCredentials(url: string): boolean {
  return /^\w+:\/\/[^/?#]*@/.test(url);
}

/** A server's URL without the token that it carries, and the token for it: its own, or else the one that is given. */
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

/** True when what is sent to the URL may be read on its way. */
function isExposed(url: string): boolean {
  const parsed = parseServerUrl(url);
  if (parsed === null) return false;
  const isPlain =
    /^(http|ws):/.test(url) ||
    (url.startsWith("libsql:") && parsed.searchParams.get("tls") === "0");
  return isPlain && !/^(localhost|.+\.localhost|127(\.\d+){3}|\[::1\])$/.test(parsed.hostname);
}

/** Null for what is no URL: the client says so. */
function parseServerUrl(url: string): URL | null {
  try {
    return new URL(url.replace(/^libsql:/, "https:"));
  } catch {
    return null;
  }
}

/** True when both URLs are on one server, reached in an equally safe way. */
export function isSameServer(first: string, second: string): boolean {
  const [one, other] = [first, second].map((url) => parseServerUrl(url.replace(/^ws/, "http")));
  return one != null && other != null && one.protocol !== "file:" && one.origin === other.origin;
}

export function isServer(url: string): boolean {
  return /^(libsql|https?|wss?):/.test(url);
}

const withoutCredentials = z.string().refine((url) => !hasCredentials(url), {
  error: "must have no user and no password, which no libSQL server takes: it takes a token",
});

const urlSchema = withoutCredentials.refine(
  (url) => url === ":memory:" || url.startsWith("file:") || isServer(url),
  {
    error: "must be :memory: or begin with file:, libsql:, http:, https:, ws: or wss:",
  },
);

const httpUrlSchema = withoutCredentials.refine((url) => /^(libsql|https?):/.test(url), {
  error: "must begin with libsql:, http: or https:",
});

/** Timers take no more. */
const longestMs = 2_147_483_647;

const ownObject = z.custom<object>(isObject, "must be an object").optional();
const drizzleSchema = z
  .strictObject({
    logger: z.custom((value) => typeof value === "boolean" || isObject(value)).optional(),
    cache: z.custom(isObject, "must be a cache of Drizzle").optional(),
    ...(isDrizzle1
      ? {
          relations: ownObject,
          codecs: ownObject,
          jit: z.boolean().optional(),
          paramsInErrors: z.boolean().optional(),
        }
      : { schema: ownObject, casing: z.enum(["snake_case", "camelCase"]).optional() }),
  })
  .transform((config) => config as { readonly schema?: object; readonly relations?: object });

function isObject(value: unknown): boolean {
  return typeof value === "object" && value !== null;
}

export const openOptionsSchema = z
  .strictObject({
    url: urlSchema,
    authToken: z.string().optional(),
    readUrl: httpUrlSchema.optional(),
    syncUrl: httpUrlSchema.optional(),
    syncIntervalSeconds: z
      .number()
      .positive()
      .max(Math.floor(longestMs / 1000))
      .optional(),
    encryptionKey: z.string().optional(),
    durability: z.enum(["full", "normal"]).optional(),
    timeoutMs: z.int().min(1).max(longestMs).optional(),
    busyTimeoutMs: z.int().min(0).max(longestMs).optional(),
    migrate: z.boolean().optional(),
    drizzle: drizzleSchema.optional(),
    readOnly: z.boolean().optional(),
    ...storeOptionsShape,
  })
  .superRefine((options, { addIssue }) => {
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
    }
    if (options.readOnly === true && options.migrate === true) {
      refuse("migrate", "cannot be true with readOnly");
    }
    for (const option of ["url", "readUrl", "syncUrl"] as const) {
      const target = options[option];
      if (target === undefined || !isExposed(target)) continue;
      const message =
        "is not sent over a plain connection to another machine: use https:, wss: or libsql:";
      if (parseServerUrl(target)?.searchParams.has("authToken")) {
        addIssue({ code: "custom", path: [option], message: `carries a token, which ${message}` });
      } else if (authToken !== undefined) {
        addIssue({ code: "custom", path: ["authToken"], message });
      }
    }
  });

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
