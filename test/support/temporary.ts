import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface TemporaryFolder {
  readonly path: string;
  /** The URL of a database file in the folder. */
  database(name?: string): string;
  remove(): Promise<void>;
}

/** Creates a folder that the caller removes. Tests use the fixtures `folder` and `sharedFolder` if they can. */
export async function temporaryFolder(): Promise<TemporaryFolder> {
  const path = await mkdtemp(join(tmpdir(), "gorkflow-"));
  return {
    path,
    database: (name = "workflows.db") => `file:${join(path, name)}`,
    remove: () => rm(path, { recursive: true, force: true }),
  };
}
