/** The millisecond and the counter of the last id. */
let time = 0;
let count = 0;

const countBits = 26;

/**
 * A new UUID of version 7 (RFC 9562): its first 48 bits are the time in milliseconds. The ids of one process sort in the
 * order in which they were made, also within a millisecond and after the clock was set back.
 */
export function uuidv7(): string {
  // Node caches random UUIDs, so this is faster than random bytes.
  const random = crypto.randomUUID();
  const now = Date.now();
  if (now > time) {
    time = now;
    // The first bit stays zero: there is room for 2 ** 25 more ids in this millisecond.
    count = Number.parseInt(random.slice(0, 7), 16) >>> 3;
  } else if (++count === 2 ** countBits) {
    time += 1;
    count = 0;
  }
  const milliseconds = time.toString(16).padStart(12, "0");
  const high = (count >>> 14).toString(16).padStart(3, "0");
  const low = (0x80_00 | (count & 0x3f_ff)).toString(16);
  return `${milliseconds.slice(0, 8)}-${milliseconds.slice(8)}-7${high}-${low}-${random.slice(24)}`;
}
