import { statfsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/**
 * Temporary folders are in memory if the machine has room there. A disk makes each commit wait a few milliseconds, and
 * the tests would take a third longer; a killed process loses nothing in either place. `TMPDIR` names another place.
 */
const parent = process.env["TMPDIR"] ?? (hasRoom("/dev/shm") ? "/dev/shm" : tmpdir());

function hasRoom(path: string): boolean {
  try {
    const { bavail, bsize } = statfsSync(path);
    return bavail * bsize > 4 * 2 ** 30;
  } catch {
    return false;
  }
}

export interface TemporaryFolder {
  readonly path: string;
  /** The URL of a database file in the folder. */
  database(name?: string): string;
  remove(): Promise<void>;
}

/** Creates a folder that the caller removes. Tests use the fixtures `folder` and `sharedFolder` if they can. */
export async function temporaryFolder(): Promise<TemporaryFolder> {
  const path = await mkdtemp(join(parent, "gorkflow-"));
  return {
    path,
    database: (name = "workflows.db") => `file:${join(path, name)}`,
    remove: () => rm(path, { recursive: true, force: true }),
  };
}
