import { v7 as uuidv7 } from "uuid";

/** The random bytes of 256 ids. Asking the system for those of each id would take longer than making the id. */
const pool = new Uint8Array(4096);
let used = pool.length;
let filledAt = 0;

/** Processes that start from one snapshot have its pool in common, so its bytes are used for a short time only. */
const longestUseMs = 1000;

const last = { msecs: 0, seq: 0 };

/** A UUID of version 7. Those of one process ascend, even within a millisecond and if the clock goes backwards. */
export function newId(): string {
  const now = Date.now();
  if (used === pool.length || Math.abs(now - filledAt) >= longestUseMs) {
    crypto.getRandomValues(pool);
    filledAt = now;
    used = 0;
  }
  const random = pool.subarray(used, (used += 16));
  if (now > last.msecs) {
    last.msecs = now;
    // The upper half is left free for the other ids of this millisecond.
    last.seq = new DataView(random.buffer, random.byteOffset).getUint32(0) >>> 1;
  } else last.seq += 1;
  return uuidv7({ ...last, random });
}
