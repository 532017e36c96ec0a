import { readFile } from "node:fs/promises";

const headerBytes = 32;
const frameHeaderBytes = 24;

/**
 * How many transactions the write-ahead log of a database holds: the frames that end one carry the size of the
 * database after it. Frames of an earlier use of the log have other salts.
 */
export async function countWalCommits(databasePath: string): Promise<number> {
  const wal = await readFile(`${databasePath}-wal`);
  const frameBytes = frameHeaderBytes + wal.readUInt32BE(8);
  const salts = wal.subarray(16, 24);
  let commits = 0;
  for (let at = headerBytes; at + frameBytes <= wal.length; at += frameBytes) {
    if (!wal.subarray(at + 8, at + 16).equals(salts)) break;
    if (wal.readUInt32BE(at + 4) !== 0) commits += 1;
  }
  return commits;
}
