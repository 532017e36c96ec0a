import { readFile } from "node:fs/promises";

const headerBytes = 32;
const frameHeaderBytes = 24;

/**
 * Counts the transactions in the write-ahead log of a database. The last frame of a transaction has the size of the
 * database; frames from before the last reset of the log have different salts.
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
