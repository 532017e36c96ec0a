import * as z from "zod";
import { parseArgument } from "../../arguments.ts";
import { storeOptionsShape, type StoreOptions } from "./store-options.ts";

/** How `LibSQLStore.open` reaches its database. */
export interface OpenOptions extends StoreOptions {
  /** `file:…`, `:memory:`, `libsql://…`, `http(s)://…` or `ws(s)://…`; may carry `?authToken=…`. */
  readonly url: string;
  readonly authToken?: string | undefined;
  /** The primary of an embedded replica whose copy is the file at `url`. */
  readonly syncUrl?: string | undefined;
  /** Seconds between two syncs of an embedded replica; absent for none but `sync()`. */
  readonly syncIntervalSeconds?: number | undefined;
  readonly encryptionKey?: string | undefined;
  /**
   * Local files: `full` (the default) survives power loss, `normal` a crash of the process. A server decides
   * for itself.
   */
  readonly durability?: "full" | "normal" | undefined;
  /** How long a lock of another process is waited for; 5000 when absent. */
  readonly busyTimeoutMs?: number | undefined;
  /** False checks the schema instead of migrating it. Implied by `tables`. */
  readonly migrate?: boolean | undefined;
}

const urlSchema = z
  .string()
  .refine((url) => url === ":memory:" || /^(file|libsql|https?|wss?):/.test(url), {
    error: "must be :memory: or begin with file:, libsql:, http:, https:, ws: or wss:",
  });

const openOptionsSchema = z.strictObject({
  url: urlSchema,
  authToken: z.string().optional(),
  syncUrl: urlSchema.optional(),
  syncIntervalSeconds: z.number().positive().optional(),
  encryptionKey: z.string().optional(),
  durability: z.enum(["full", "normal"]).optional(),
  busyTimeoutMs: z.int().min(0).optional(),
  migrate: z.boolean().optional(),
  ...storeOptionsShape,
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
