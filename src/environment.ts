import * as z from "zod";
import { parseArgument } from "./arguments.ts";
import { InvalidArgumentError } from "./errors.ts";
import {
  isSameServer,
  isServer,
  openOptionsSchema,
  type OpenOptions,
} from "./stores/libsql/open-options.ts";

/** The variables of a process: `process.env`. An empty one is an absent one: shells and deployments unset them so. */
export type Environment = Readonly<Record<string, string | undefined>>;

interface EnvironmentVariable {
  readonly name: `GORKFLOW_${string}`;
  /** What its text stands for; what may be, the option of that name decides. */
  readonly reads: z.ZodType<unknown, string>;
  /** For the table of the README. */
  readonly meaning: string;
}

const text = z.string();
const number = z
  .string()
  .regex(/^\d+(\.\d+)?$/, "must be a number")
  .transform(Number);
const boolean = z.enum(["true", "false"]).transform((value) => value === "true");

/** What can be written in text: a new option without a variable does not compile. */
type TextOption = Exclude<keyof OpenOptions, "tables" | "clock" | "drizzle" | "readOnly">;

/** The variable of each option of `LibSQLStore.open`. */
export const environmentVariables = {
  url: {
    name: "GORKFLOW_DATABASE_URL",
    reads: text,
    meaning:
      "`memory:`, `file:…`, `libsql://…`, `http(s)://…` or `ws(s)://…`; without it `NODE_ENV` decides: `production` and `staging` open `file:./workflows.db`, everything else is in memory",
  },
  authToken: {
    name: "GORKFLOW_AUTH_TOKEN",
    reads: text,
    meaning: "token of the server; never sent over a plain connection to another machine",
  },
  readUrl: {
    name: "GORKFLOW_READ_URL",
    reads: text,
    meaning: "a read replica of the server, for reads",
  },
  syncUrl: {
    name: "GORKFLOW_SYNC_URL",
    reads: text,
    meaning: "the primary of an embedded replica, whose copy is the file of the URL",
  },
  syncIntervalSeconds: {
    name: "GORKFLOW_SYNC_INTERVAL_SECONDS",
    reads: number,
    meaning: "how often the copy fetches what others have written; never when absent",
  },
  encryptionKey: {
    name: "GORKFLOW_ENCRYPTION_KEY",
    reads: text,
    meaning: "key of a local file",
  },
  durability: {
    name: "GORKFLOW_DURABILITY",
    reads: text,
    meaning: "`full` (default) or `normal`, for a local file",
  },
  timeoutMs: {
    name: "GORKFLOW_TIMEOUT_MS",
    reads: number,
    meaning: "how long a call may take on a server, in milliseconds; 30000",
  },
  busyTimeoutMs: {
    name: "GORKFLOW_BUSY_TIMEOUT_MS",
    reads: number,
    meaning: "how long the lock of another process is waited for; 5000",
  },
  migrate: {
    name: "GORKFLOW_MIGRATE",
    reads: boolean,
    meaning: "`false` checks the tables at opening, and leaves migrating to you",
  },
} as const satisfies Record<TextOption, EnvironmentVariable>;

/** Options whose values are those of one database, and of no other one. */
const placeOptions = ["readUrl", "syncUrl", "syncIntervalSeconds"] as const;

/** Options that a server has no use for. */
const localOptions = ["encryptionKey", "durability", "busyTimeoutMs"] as const;

/**
 * The options that the environment has for the store at `url`. `memory:` is checked as a local database is.
 *
 * @throws {InvalidArgumentError} that names the variable, never its value.
 */
export function environmentOptions(env: Environment, url: string): Omit<OpenOptions, "drizzle"> {
  const given: Record<string, unknown> = {};
  for (const [option, { name, reads }] of Object.entries(environmentVariables)) {
    const value = env[name];
    if (isSet(value)) given[option] = parseArgument(reads, value, `env.${name}`);
  }
  const parsed = openOptionsSchema.safeParse({
    ...given,
    url: url === "memory:" ? ":memory:" : url,
  });
  if (parsed.success) return { ...parsed.data, url };
  const [issue] = parsed.error.issues;
  const { name } = environmentVariables[issue?.path[0] as TextOption];
  throw new InvalidArgumentError({
    argument: `env.${name}`,
    reason: issue?.message ?? "is not valid",
  });
}

/**
 * `env` for another database than that of `GORKFLOW_DATABASE_URL`: without the options that belong to that one, and
 * without those that have no effect on this one. The token stays when both are on one server.
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

/** `env` for the primary of the embedded replica that it names. */
export function environmentForPrimary(env: Environment): Environment {
  return without(env, [...placeOptions, ...localOptions]);
}

/**
 * `env` without what would send a token to a URL that it was not configured with: `isOwn` tells the variables that
 * the process was started with from those of a file.
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

/** The text of a variable; undefined when it is empty or absent. */
export function variableOf(env: Environment, name: string): string | undefined {
  return isSet(env[name]) ? env[name] : undefined;
}

function isSet(value: string | undefined): value is string {
  return value !== undefined && value !== "";
}
