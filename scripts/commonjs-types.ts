// Copies the declarations that apps can see for apps in CommonJS, whose drizzle-orm has declarations of its own. The
// program stays one: Node loads it by `require`.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";

/** A relative module in a declaration. */
const relative = /(?<=(?:from |import\(|import )")(\.[^"]*)\.[jt]s(?=")/g;

/** Writes `name.d.cts` beside each `name.d.ts` that an entry in `exports` of the package needs. */
export function writeCommonJsTypes(folder: string): void {
  const { exports } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as {
    readonly exports: Readonly<Record<string, string | { readonly types: { default: string } }>>;
  };
  const left = Object.values(exports).flatMap((entry) =>
    typeof entry === "string" ? [] : [join(folder, entry.types.default)],
  );
  const found = new Set(left);
  for (let file = left.pop(); file !== undefined; file = left.pop()) {
    const text = readFileSync(file, "utf8").replace(/\n\/\/# sourceMappingURL=.*\s*$/, "\n");
    for (const [, path = ""] of text.matchAll(relative)) {
      const needed = join(file, "..", `${path}.d.ts`);
      if (found.has(needed) || !existsSync(needed)) continue;
      found.add(needed);
      left.push(needed);
    }
    writeFileSync(file.replace(/\.ts$/, ".cts"), text.replaceAll(relative, "$1.cjs"));
  }
}

if (process.argv[1] === import.meta.filename) {
  writeCommonJsTypes(resolve(import.meta.dirname, ".."));
}
