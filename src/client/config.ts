import type { Config, IntMode } from "@libsql/client";
import * as z from "zod/mini";
import { maxTimerMs } from "../async/pause.ts";
import { parseArgument } from "../arguments.ts";
import { InvalidArgumentError } from "../errors.ts";
import { memoryPath, pathOf, pathOfUrl } from "./file-path.ts";

interface LocalOptions {
  readonly encryptionKey?: string | undefined;
  /** How result sets give integers. Defaults to `number`, which throws if one would lose precision. */
  readonly intMode?: IntMode | undefined;
  /**
   * `full` (the default): an acknowledged write survives power loss. `normal`: it survives a crash of the process, but
   * the last commits may be lost on power loss. The file stays consistent in both modes.
   */
  readonly durability?: Durability | undefined;
  /**
   * The journal mode of the file. By default a new file gets a write-ahead log (`wal`), and an existing file keeps its
   * mode. The other modes are for file systems without shared memory, such as network file systems. In them a reader
   * delays the commits of writers.
   */
  readonly journalMode?: JournalMode | undefined;
  /** How long to wait for the lock of another process, in milliseconds. Defaults to 5000. */
  readonly busyTimeoutMs?: number | undefined;
  /**
   * If true, the file must exist, nothing in it is changed, and every write is rejected. Otherwise opening sets the
   * journal mode, and closing moves the write-ahead log into the file.
   */
  readonly readOnly?: boolean | undefined;
  /** The name that `@libsql/client` has for `busyTimeoutMs`. */
  readonly timeout?: number | undefined;
}

/** The other options of `@libsql/client`. They may be undefined; any other value is rejected by name. */
export type ServerOptions = {
  readonly [Name in Exclude<keyof Config, keyof LocalOptions | "url">]?: Config[Name] | undefined;
};

/** The configuration of `createClient`. */
export type LocalClientConfig = LocalOptions &
  ServerOptions &
  (
    | {
        /**
         * `file:…` with a percent-encoded path, or `:memory:`. A relative path is resolved now, not on each use. The
         * file is created if it does not exist; its folder is not.
         */
        readonly url: string;
        readonly path?: undefined;
      }
    | {
        /** The path of the file as the file system writes it, instead of a URL. */
        readonly path: string;
        readonly url?: undefined;
      }
  );

export type JournalMode = "wal" | "delete" | "truncate" | "persist";

export type Durability = "full" | "normal";

/** A configuration with its defaults; `path` is `:memory:` or a path of the file system. */
export interface LocalDatabaseSettings {
  readonly path: string;
  readonly inMemory: boolean;
  readonly encryptionKey: string | null;
  readonly intMode: IntMode;
  readonly durability: Durability;
  /** If null, a new file gets a write-ahead log and an existing one keeps its journal. */
  readonly journalMode: JournalMode | null;
  readonly busyTimeoutMs: number;
  readonly readOnly: boolean;
}

const milliseconds = z.int().check(z.minimum(0), z.maximum(maxTimerMs));

const forServers = z.undefined({
  error: "has no meaning for a local database: it is for servers and their replicas",
});

const configSchema = z.strictObject({
  url: z.optional(z.string()),
  path: z.optional(z.string()),
  encryptionKey: z.optional(z.string().check(z.minLength(1))),
  intMode: z.optional(z.enum(["number", "bigint", "string"])),
  durability: z.optional(z.enum(["full", "normal"])),
  journalMode: z.optional(z.enum(["wal", "delete", "truncate", "persist"])),
  busyTimeoutMs: z.optional(milliseconds),
  readOnly: z.optional(z.boolean()),
  timeout: z.optional(milliseconds),
  // An environment variable that is set to nothing is not a token.
  authToken: z.optional(z.literal("", { error: "has no meaning for a local database" })),
  remoteEncryptionKey: z.optional(forServers),
  syncUrl: z.optional(forServers),
  syncInterval: z.optional(forServers),
  readYourWrites: z.optional(forServers),
  offline: z.optional(forServers),
  tls: z.optional(forServers),
  fetch: z.optional(forServers),
  concurrency: z.optional(
    z.undefined({ error: "has no meaning here: connections are opened as they are needed" }),
  ),
} satisfies { readonly [Name in keyof LocalClientConfig | keyof Config]-?: z.ZodMiniType });

/** @throws {InvalidArgumentError} that names the field, never its value. */
export function parseConfig(config: string | LocalClientConfig): LocalDatabaseSettings {
  const data = parseArgument(
    configSchema,
    typeof config === "string" ? { url: config } : config,
    "config",
  );
  const path = placeOf(data);
  const inMemory = path === memoryPath;
  for (const option of ["encryptionKey", "journalMode"] as const) {
    if (!inMemory || data[option] === undefined) continue;
    throw new InvalidArgumentError({
      argument: `config.${option}`,
      reason: "has no meaning for a database in memory, which has no file",
    });
  }
  if (data.readOnly === true && (inMemory || data.journalMode !== undefined)) {
    throw new InvalidArgumentError({
      argument: "config.readOnly",
      reason: "is for a file, and does not change its journal mode",
    });
  }
  return {
    path,
    inMemory,
    encryptionKey: data.encryptionKey ?? null,
    intMode: data.intMode ?? "number",
    durability: data.durability ?? "full",
    journalMode: data.journalMode ?? null,
    busyTimeoutMs: data.busyTimeoutMs ?? data.timeout ?? 5000,
    readOnly: data.readOnly ?? false,
  };
}

function placeOf({ url, path }: { url?: string | undefined; path?: string | undefined }): string {
  if ((url === undefined) === (path === undefined)) {
    throw new InvalidArgumentError({
      argument: "config.url",
      reason: "must be given, or else config.path: one of them",
    });
  }
  return url === undefined ? pathOf(path ?? "") : pathOfUrl(url);
}
