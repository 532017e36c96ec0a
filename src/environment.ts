import * as z from "zod/mini";
import { inEnglish, parseArgument } from "./arguments.ts";
import { InvalidArgumentError } from "./errors.ts";
import {
  isSameServer,
  isServer,
  openOptionsSchema,
  type OpenOptions,
} from "./stores/libsql/open-options.ts";

/** The variables of a process: `process.env`. Empty variables count as unset, as in shells. */
export type Environment = Readonly<Record<string, string | undefined>>;

interface EnvironmentVariable {
  readonly name: `GORKFLOW_${string}`;
  /** Converts the text. The option of that name validates the result. */
  readonly reads: z.ZodMiniType<unknown, string>;
  /** The text in the table of the README. */
  readonly meaning: string;
}

const text = z.string();
const number = z.pipe(
  z.string().check(z.regex(/^\d+(\.\d+)?$/, "must be a number")),
  z.transform(Number),
);
const boolean = z.pipe(
  z.enum(["true", "false"]),
  z.transform((value) => value === "true"),
);

/**
 * The options that text can express. A new option without a variable does not compile. The commands that only read would
 * reject a journal mode.
 */
type TextOption = Exclude<
  keyof OpenOptions,
  "tables" | "clock" | "drizzle" | "readOnly" | "journalMode"
>;

/** The variable of each option of `LibSQLStore.open`. */
export const environmentVariables = {
  url: {
    name: "GORKFLOW_DATABASE_URL",
    reads: text,
    meaning:
      "`memory:`, `file:…`, `libsql://…`, `http(s)://…` or `ws(s)://…`. If unset, `NODE_ENV` decides: `production` and `staging` open `file:./workflows.db`, anything else opens memory",
  },
  authToken: {
    name: "GORKFLOW_AUTH_TOKEN",
    reads: text,
    meaning: "token of the server; never sent over an unencrypted connection to another machine",
  },
  readUrl: {
    name: "GORKFLOW_READ_URL",
    reads: text,
    meaning: "read replica of the server, used for reads",
  },
  syncUrl: {
    name: "GORKFLOW_SYNC_URL",
    reads: text,
    meaning: "primary of an embedded replica; the URL is then the file of the local copy",
  },
  syncIntervalSeconds: {
    name: "GORKFLOW_SYNC_INTERVAL_SECONDS",
    reads: number,
    meaning: "seconds between two syncs of the local copy; no periodic sync if unset",
  },
  encryptionKey: {
    name: "GORKFLOW_ENCRYPTION_KEY",
    reads: text,
    meaning: "encryption key of a local file",
  },
  durability: {
    name: "GORKFLOW_DURABILITY",
    reads: text,
    meaning: "`full` (default) or `normal`, for a local file",
  },
  timeoutMs: {
    name: "GORKFLOW_TIMEOUT_MS",
    reads: number,
    meaning: "time limit of a call on a server, in milliseconds; defaults to 30000",
  },
  busyTimeoutMs: {
    name: "GORKFLOW_BUSY_TIMEOUT_MS",
    reads: number,
    meaning: "how long to wait for a lock of another process, in milliseconds; defaults to 5000",
  },
  migrate: {
    name: "GORKFLOW_MIGRATE",
    reads: boolean,
    meaning: "`false` checks the tables when opening, instead of migrating them",
  },
} as const satisfies Record<TextOption, EnvironmentVariable>;

/** Options that belong to one database. */
const placeOptions = ["readUrl", "syncUrl", "syncIntervalSeconds"] as const;

/** Options that have no effect on a server. */
const localOptions = ["encryptionKey", "durability", "busyTimeoutMs"] as const;

/**
 * The options for the store at `url`. `memory:` is validated like a local database.
 *
 * @throws {InvalidArgumentError} that names the variable, never its value.
 */
export function environmentOptions(env: Environment, url: string): Omit<OpenOptions, "drizzle"> {
  const given: Record<string, unknown> = {};
  for (const [option, { name, reads }] of Object.entries(environmentVariables)) {
    const value = env[name];
    if (isSet(value)) given[option] = parseArgument(reads, value, `env.${name}`);
  }
  const options = { ...given, url: url === "memory:" ? ":memory:" : url };
  const parsed = openOptionsSchema.safeParse(options, inEnglish);
  if (parsed.success) return { ...parsed.data, url };
  const [issue] = parsed.error.issues;
  const { name } = environmentVariables[issue?.path[0] as TextOption];
  throw new InvalidArgumentError({
    argument: `env.${name}`,
    reason: issue?.message ?? "is not valid",
  });
}

/**
 * `env` for a database other than that of `GORKFLOW_DATABASE_URL`: without the options that belong to that database or
 * have no effect on this one. The token stays if both databases are on the same server.
 */
export function environmentFor(env: Environment, url: string): Environment {
  const configured = variableOf(env, environmentVariables.url.name);
  const keepsToken = configured !== undefined && isSameServer(configured, url);
  return without(env, [
    ...placeOptions,
    ...(keepsToken ? [] : (["authToken"] as const)),
    ...(isServer(url) ? localOptions : (["timeoutMs"] as const)),
  ]);
}

/** `env` for the primary of its embedded replica. */
export function environmentForPrimary(env: Environment): Environment {
  return without(env, [...placeOptions, ...localOptions]);
}

/**
 * `env` without the variables that would send a token to a URL that it was not configured with. `isOwn` is true for
 * variables of the process, and false for those of a `.env` file.
 */
export function withoutForeignTokens(
  env: Environment,
  isOwn: (name: string) => boolean,
): Environment {
  const { url, readUrl, syncUrl, authToken } = environmentVariables;
  const isForeign = ({ name }: EnvironmentVariable) =>
    isSet(env[name]) && isOwn(name) !== isOwn(authToken.name);
  if (!isSet(env[authToken.name])) return env;
  if (isForeign(url) || isForeign(syncUrl)) return without(env, ["authToken"]);
  return isForeign(readUrl) ? without(env, ["readUrl"]) : env;
}

function without(env: Environment, options: readonly TextOption[]): Environment {
  const names = options.map((option) => [environmentVariables[option].name, undefined]);
  return { ...env, ...(Object.fromEntries(names) as Record<string, undefined>) };
}

/** The text of a variable; undefined if it is unset or empty. */
export function variableOf(env: Environment, name: string): string | undefined {
  return isSet(env[name]) ? env[name] : undefined;
}

function isSet(value: string | undefined): value is string {
  return value !== undefined && value !== "";
}
