import * as z from "zod";
import { parseArgument } from "../../arguments.ts";
import { storeOptionsShape, type StoreOptions } from "./store-options.ts";

/** How `LibSQLStore.open` reaches its database. */
export interface OpenOptions extends StoreOptions {
  /** `file:…`, `:memory:`, `libsql://…`, `http(s)://…` or `ws(s)://…`; may carry `?authToken=…`. */
  readonly url: string;
  readonly authToken?: string | undefined;
  /**
   * A read replica of the server at `url`, where reads of the store go; both over HTTP. What this store has
   * written, or seen, and the replica does not have yet is read from the primary. `db` uses `url` only.
   */
  readonly readUrl?: string | undefined;
  /**
   * The primary, over HTTP, of an embedded replica whose copy is the file at `url`. Writes go to the primary. The
   * copy is synced at opening and whenever it lacks what was written here; when the primary cannot be reached at
   * opening, the copy of before is used.
   */
  readonly syncUrl?: string | undefined;
  /** Seconds between two more syncs, which bring what others have written; absent for none but `sync()`. */
  readonly syncIntervalSeconds?: number | undefined;
  readonly encryptionKey?: string | undefined;
  /**
   * Local files: `full` (the default) survives power loss, `normal` a crash of the process. A server decides
   * for itself.
   */
  readonly durability?: "full" | "normal" | undefined;
  /** How long a server may take for one answer, in milliseconds; 30000 when absent. */
  readonly timeoutMs?: number | undefined;
  /** How long a lock of another process is waited for; 5000 when absent. */
  readonly busyTimeoutMs?: number | undefined;
  /** False checks the schema instead of migrating it. Implied by `tables`. */
  readonly migrate?: boolean | undefined;
}

/** True for `http://user:password@…`: a libSQL server takes a token, and nothing else. */
export function hasCredentials(url: string): boolean {
  return /^\w+:\/\/[^/?#]*@/.test(url);
}

const withoutCredentials = z.string().refine((url) => !hasCredentials(url), {
  error: "must have no user and no password, which no libSQL server takes: it takes a token",
});

const urlSchema = withoutCredentials.refine(
  (url) => url === ":memory:" || /^(file|libsql|https?|wss?):/.test(url),
  {
    error: "must be :memory: or begin with file:, libsql:, http:, https:, ws: or wss:",
  },
);

const httpUrlSchema = withoutCredentials.refine((url) => /^(libsql|https?):/.test(url), {
  error: "must begin with libsql:, http: or https:",
});

export const openOptionsSchema = z
  .strictObject({
    url: urlSchema,
    authToken: z.string().optional(),
    readUrl: httpUrlSchema.optional(),
    syncUrl: httpUrlSchema.optional(),
    syncIntervalSeconds: z.number().positive().optional(),
    encryptionKey: z.string().optional(),
    durability: z.enum(["full", "normal"]).optional(),
    timeoutMs: z.int().min(1).optional(),
    busyTimeoutMs: z.int().min(0).optional(),
    migrate: z.boolean().optional(),
    ...storeOptionsShape,
  })
  .refine(({ url, readUrl }) => readUrl === undefined || /^(libsql|https?):/.test(url), {
    path: ["readUrl"],
    error: "is for a server at an url that begins with libsql:, http: or https:",
  })
  .refine(({ url, syncUrl }) => syncUrl === undefined || url.startsWith("file:"), {
    path: ["syncUrl"],
    error: "is for a copy in a file: the url must begin with file:",
  });

export type ParsedOpenOptions = z.output<typeof openOptionsSchema>;

/** @throws {InvalidArgumentError} that names the option, never its value. */
export function parseOpenOptions(options: string | OpenOptions): ParsedOpenOptions {
  return parseArgument(
    openOptionsSchema,
    typeof options === "string" ? { url: options } : options,
    "options",
  );
}
