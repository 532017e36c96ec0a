/** True if the text has conflict markers. */
export function hasConflict(text: string): boolean {
  return /^<{7}( |$)/m.test(text);
}

/**
 * The remedy for a journal with conflict markers: which files to change, in which order. `others` are the texts of the
 * SQL files and snapshots, by file.
 */
export function mergeSteps(journal: string, others: ReadonlyMap<string, string>): string {
  const sides = [0, 1].map((side) => tagsOf(sideOf(journal, side)));
  const [first = [], second = []] = sides;
  const onlyFirst = first.filter((tag) => !second.includes(tag));
  const onlySecond = second.filter((tag) => !first.includes(tag));
  const conflicting = [...others].filter(([, text]) => hasConflict(text));
  const files = ["meta/_journal.json", "_hashes.json", ...conflicting.map(([name]) => name)];
  const sidesInWords =
    onlyFirst.length > 0 && onlySecond.length > 0
      ? ` (one has ${onlyFirst.join(", ")}, the other ${onlySecond.join(", ")})`
      : "";
  const strays = [onlyFirst, onlySecond]
    .filter((tags) => tags.length > 0)
    .map((tags) => tags.map((tag) => `${tag}.sql`).join(", "))
    .join(" or ");
  return [
    `1. choose the side whose migrations others have applied${sidesInWords}`,
    `2. keep that side alone in ${files.join(", ")}`,
    `3. delete the files of the other side: ${strays === "" ? "its .sql files" : strays}, and snapshots in meta/ that the journal does not name`,
    "4. `drizzle-kit generate` writes what the other side changed again, as a later migration",
    "5. `gorkflow check --record`, and commit",
  ].join("; ");
}

/** The text with one side of each conflict, without the base that diff3 writes between them. */
function sideOf(text: string, side: number): string {
  let current: number | null = null;
  return text
    .split(/\r?\n/)
    .filter((line) => {
      if (/^<{7}( |$)/.test(line)) current = 0;
      else if (/^\|{7}( |$)/.test(line)) current = -1;
      else if (current !== null && /^={7}$/.test(line)) current = 1;
      else if (/^>{7}( |$)/.test(line)) current = null;
      else return current === null || current === side;
      return false;
    })
    .join("\n");
}

/** Parses one side of a conflict, which may lack a comma. */
function tagsOf(journal: string): string[] {
  return [...journal.matchAll(/"tag"\s*:\s*"([^"]*)"/g)].map(([, tag = ""]) => tag);
}
