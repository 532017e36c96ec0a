/** A file of the page. */
export interface PageFile {
  readonly type: string;
  readonly body: string;
}

/**
 * The files of the page, by name.
 *
 * The build replaces this module by one that contains them: an edge runtime and a bundled app have no files to read. In
 * the sources, the page is bundled on the first call.
 */
export async function loadPage(): Promise<Readonly<Record<string, PageFile>>> {
  const script = new URL("../../scripts/bundle-studio.ts", import.meta.url).href;
  const { bundlePage } = (await import(script)) as {
    bundlePage(): Promise<Readonly<Record<string, PageFile>>>;
  };
  return bundlePage();
}
