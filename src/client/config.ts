import type { Config, IntMode } from "@libsql/client";
import * as z from "zod";
import { parseArgument } from "../arguments.ts";
import { InvalidArgumentError } from "../errors.ts";

/** What a local client is made of. */
export interface LocalClientConfig {
  /** `file:…` with a relative or absolute path, or `:memory:`. The file is created, its folder is not. */
  readonly url: string;
  readonly encryptionKey?: string | undefined;
  /** How result sets give integers; `number` when absent, which throws where one would lose precision. */
  readonly intMode?: IntMode | undefined;
  /**
   * `full` (the default): what was acknowledged survives power loss. `normal`: it survives a crash of the
   * process, and the last commits may be lost with the power; the file stays whole in both.
   */
  readonly durability?: Durability | undefined;
  /** How long a lock of another process is waited for, in milliseconds; 5000 when absent. */
  readonly busyTimeoutMs?: number | undefined;
  /** The name that `@libsql/client` has for `busyTimeoutMs`. */
  readonly timeout?: Config["timeout"];
}

export type Durability = "full" | "normal";

/** A configuration with its defaults; `path` is `:memory:` or a path of the file system. */
export interface LocalDatabaseSettings {
  readonly path: string;
  readonly inMemory: boolean;
  readonly encryptionKey: string | null;
  readonly intMode: IntMode;
  readonly durability: Durability;
  readonly busyTimeoutMs: number;
}

const milliseconds = z.int().min(0).max(2_147_483_647);

const configSchema = z.strictObject({
  url: z.string(),
  encryptionKey: z.string().min(1).optional(),
  intMode: z.enum(["number", "bigint", "string"]).optional(),
  durability: z.enum(["full", "normal"]).optional(),
  busyTimeoutMs: milliseconds.optional(),
  timeout: milliseconds.optional(),
});

/** @throws {InvalidArgumentError} that names the field, never its value. */
export function parseConfig(config: string | LocalClientConfig): LocalDatabaseSettings {
  const data = parseArgument(
    configSchema,
    typeof config === "string" ? { url: config } : config,
    "config",
  );
  const path = pathOf(data.url);
  const inMemory = path === memoryPath;
  if (inMemory && data.encryptionKey !== undefined) {
    throw new InvalidArgumentError({
      argument: "config.encryptionKey",
      reason: "has no use for a database in memory, which would not be encrypted",
    });
  }
  return {
    path,
    inMemory,
    encryptionKey: data.encryptionKey ?? null,
    intMode: data.intMode ?? "number",
    durability: data.durability ?? "full",
    busyTimeoutMs: data.busyTimeoutMs ?? data.timeout ?? 5000,
  };
}

const memoryPath = ":memory:";

function pathOf(url: string): string {
  if (url === memoryPath || url === `file:${memoryPath}`) return memoryPath;
  const [, path] = /^file:(?:\/\/(?:localhost)?(?=\/))?([^?#]+)$/.exec(url) ?? [];
  if (path === undefined || path.startsWith("//")) throw invalidUrl();
  try {
    const decoded = decodeURIComponent(path);
    if (decoded.includes("\0")) throw invalidUrl();
    return decoded;
  } catch {
    throw invalidUrl();
  }
}

function invalidUrl(): InvalidArgumentError {
  return new InvalidArgumentError({
    argument: "config.url",
    reason:
      "must be :memory:, file:relative/path, file:/absolute/path or file:///absolute/path, without a query",
  });
}
