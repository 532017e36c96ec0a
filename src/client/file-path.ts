import nativePath, { type PlatformPath } from "node:path";
import { InvalidArgumentError } from "../errors.ts";

export const memoryPath = ":memory:";

/** The absolute path of a file, so that a later `process.chdir` changes nothing. */
export function pathOf(path: string, platform: PlatformPath = nativePath): string {
  if (path === "" || path.includes("\0")) {
    throw new InvalidArgumentError({ argument: "config.path", reason: "must be a path of a file" });
  }
  return platform.resolve(path);
}

/**
 * The absolute path of the file that a URL names, or `:memory:`.
 *
 * @throws {InvalidArgumentError} if the URL does not name a file.
 */
export function pathOfUrl(url: string, platform: PlatformPath = nativePath): string {
  if (url === memoryPath || url === `file:${memoryPath}`) return memoryPath;
  const [, encoded] = /^file:(?:\/\/(?:localhost)?(?=\/))?([^?#]+)$/i.exec(url) ?? [];
  if (encoded === undefined || encoded.startsWith("//")) {
    throw invalidUrl(
      "must be :memory:, file:relative/path, file:/absolute/path or file:///absolute/path, without a query",
    );
  }
  // A name cannot contain a slash, so this is a path that was encoded in the wrong way.
  if (/%2f|%00/i.test(encoded) || (platform.sep === "\\" && /%5c/i.test(encoded))) {
    throw invalidUrl(`has an encoded slash or NUL in a name; ${encodingAdvice}`);
  }
  let path: string;
  try {
    path = decodeURIComponent(encoded);
  } catch {
    throw invalidUrl(`has a % that does not begin an encoded character; ${encodingAdvice}`);
  }
  return pathOf(platform.sep === "\\" && /^\/[a-z]:/i.test(path) ? path.slice(1) : path, platform);
}

const encodingAdvice = "write a % of a name as %25, or give the unencoded path: { path }";

function invalidUrl(reason: string): InvalidArgumentError {
  return new InvalidArgumentError({ argument: "config.url", reason });
}
