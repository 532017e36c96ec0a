// The licenses of the packages whose code is in our bundles. They demand that every copy includes them.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Plugin } from "esbuild";

const root = resolve(import.meta.dirname, "..");

/** The folders of the packages, from the root of the project. */
const bundled = new Set<string>();

const packageFolder = /^.*node_modules\/(?:@[^/]+\/)?[^/]+/;

/** Remembers the packages that a bundle contains. */
export const rememberPackages: Plugin = {
  name: "remember-packages",
  setup({ initialOptions, onEnd }) {
    initialOptions.metafile = true;
    onEnd(({ metafile }) => {
      for (const { inputs } of Object.values(metafile?.outputs ?? {})) {
        for (const [path, { bytesInOutput }] of Object.entries(inputs)) {
          const [folder] = packageFolder.exec(path) ?? [];
          if (folder !== undefined && bytesInOutput > 0) bundled.add(folder);
        }
      }
    });
  },
};

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly license: string;
}

/** Writes the licenses of the remembered packages. A package without the text of its license is named with its kind. */
export function writeLicenses(file: string): void {
  const texts = [...bundled].toSorted().map((folder) => {
    const path = join(root, folder);
    const manifest = readFileSync(join(path, "package.json"), "utf8");
    const { name, version, license } = JSON.parse(manifest) as Manifest;
    const own = readdirSync(path).find((each) => /^licen[cs]e/i.test(each));
    const text = own === undefined ? "" : `\n${readFileSync(join(path, own), "utf8").trim()}\n`;
    return `${name} ${version} (${license})\n${text}`;
  });
  const rule = `\n${"-".repeat(80)}\n\n`;
  writeFileSync(file, `This package contains code of these packages.\n${rule}${texts.join(rule)}`);
}
