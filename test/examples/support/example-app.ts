import { cp, readFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { createClient, type Client } from "@libsql/client";
import { createClient as createLocalClient } from "../../../src/client/create-client.ts";
import type { Project } from "../../packaging/support/packed-project.ts";

const examples = join(import.meta.dirname, "../../../examples");

/** A copy of an example in a project that has its packages. */
export interface ExampleApp {
  readonly path: string;
  /** The app on a database: a file in the copy, or the server at `url`. */
  on(url?: string): RunningApp;
}

export interface RunningApp {
  readonly url: string;
  /** Runs a script of its package.json with extra arguments. */
  script(name: string, ...args: readonly string[]): Promise<string>;
  /** Runs a command of its packages. */
  command(program: string, ...args: readonly string[]): Promise<string>;
  /** Opens its database directly. */
  withDatabase<Result>(use: (client: Client) => Promise<Result>): Promise<Result>;
}

/** Copies an example, or the folder `source` that was copied from it, without databases. */
export async function copyExample(
  project: Project,
  name: string,
  copy = name,
  source = join(examples, name),
): Promise<ExampleApp> {
  const path = join(project.path, copy);
  await cp(source, path, { recursive: true, filter: (file) => !/\.db(-wal|-shm)?$/.test(file) });
  const { scripts } = JSON.parse(await readFile(join(path, "package.json"), "utf8")) as {
    scripts: Readonly<Record<string, string>>;
  };
  const programs = join(project.path, "node_modules/.bin");
  return {
    path,
    on(url = `file:${join(path, "app.db")}`) {
      const env = {
        DATABASE_URL: url,
        GORKFLOW_DATABASE_URL: url,
        PATH: `${programs}${delimiter}${process.env["PATH"]}`,
      };
      const command = (program: string, ...args: readonly string[]) =>
        project.run(program, args, { folder: copy, env });
      return {
        url,
        async script(script, ...args) {
          const line = scripts[script];
          if (line === undefined) throw new TypeError(`${name} has no script ${script}`);
          // npm itself takes a quarter of a second.
          const output = await command("sh", "-c", `${line} "$@"`, "sh", ...args);
          const after = scripts[`post${script}`];
          return after === undefined ? output : output + (await command("sh", "-c", after));
        },
        command,
        async withDatabase(use) {
          const client = url.startsWith("file:") ? createLocalClient(url) : createClient({ url });
          try {
            return await use(client);
          } finally {
            client.close();
          }
        },
      };
    },
  };
}
