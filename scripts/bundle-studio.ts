// Bundles the page of the studio, and the packages that only the studio needs, so that users of the library do not
// install them.
import { writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { build, type Plugin } from "esbuild";
import type { PageFile } from "../src/studio/page-files.ts";
import { rememberPackages } from "./licenses.ts";

const root = resolve(import.meta.dirname, "..");
const page = join(root, "src/studio/page");

const types: Readonly<Record<string, string>> = {
  js: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
};

/** The files of the page, by name. */
export async function bundlePage(): Promise<Readonly<Record<string, PageFile>>> {
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: [
      { in: join(page, "main.tsx"), out: "studio" },
      { in: join(page, "style.css"), out: "studio" },
    ],
    outdir: "assets",
    bundle: true,
    minify: true,
    write: false,
    format: "esm",
    target: ["chrome123", "firefox120", "safari17.5"],
    jsx: "automatic",
    jsxImportSource: "preact",
    define: { "process.env.NODE_ENV": '"production"' },
    plugins: [rememberPackages],
    logLevel: "error",
  });
  const files: Record<string, PageFile> = {};
  for (const { path, text } of outputFiles) {
    const name = path.split(/[\\/]/).at(-1) ?? "";
    files[name] = { type: types[name.split(".").at(-1) ?? ""] ?? "text/plain", body: text };
  }
  const html = await readFile(join(page, "index.html"), "utf8");
  files["index.html"] = { type: "text/html; charset=utf-8", body: html };
  files["icon.svg"] = {
    type: "image/svg+xml",
    body: await readFile(join(page, "icon.svg"), "utf8"),
  };
  return files;
}

/** The module that replaces `page-files.ts`. */
async function pageModule(): Promise<string> {
  const files = JSON.stringify(await bundlePage(), null, 2);
  return `const files = ${files};\nexport async function loadPage() {\n  return files;\n}\n`;
}

/** Puts the files of the page into a bundle that contains the studio. */
export const withPage: Plugin = {
  name: "studio-page",
  setup({ onLoad }) {
    onLoad({ filter: /[\\/]studio[\\/]page-files\.ts$/ }, async () => {
      return { contents: await pageModule(), loader: "js" };
    });
  },
};

/** Completes the compiled studio in the folder `dist` of a package. */
export async function bundleStudio(dist: string): Promise<void> {
  writeFileSync(join(dist, "studio/page-files.js"), await pageModule());
  await build({
    absWorkingDir: root,
    entryPoints: ["src/studio/studio.ts"],
    outdir: join(dist, "studio"),
    bundle: true,
    platform: "neutral",
    mainFields: ["module", "main"],
    format: "esm",
    target: "es2023",
    sourcemap: true,
    plugins: [onlyPackagesOfTheStudio, rememberPackages],
    logLevel: "error",
  });
}

/** Bundles hono alone. Our own modules stay what the other entries of the package load. */
const onlyPackagesOfTheStudio: Plugin = {
  name: "only-packages-of-the-studio",
  setup({ onResolve }) {
    onResolve({ filter: /^\.\.?\// }, ({ path, importer }) => {
      if (!importer.startsWith(join(root, "src"))) return undefined;
      return { path: path.replace(/\.ts$/, ".js"), external: true };
    });
  },
};
