import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { hostname, networkInterfaces } from "node:os";
import { createAdaptorServer } from "@hono/node-server";
import { Command, InvalidArgumentError } from "commander";
import { createStudio } from "../../studio/studio.ts";
import { withToken } from "../../studio/token.ts";
import type { CommandContext } from "../context.ts";
import { withStore } from "../database.ts";
import { definitionsOption, loadDefinitions, type DefinitionOptions } from "../definitions.ts";
import { CommandError } from "../errors.ts";
import { type JsonOptions, shared, type TableOptions } from "../options.ts";
import { note, print, printJson } from "../output/output.ts";

interface StudioCommandOptions extends TableOptions, JsonOptions, DefinitionOptions {
  readonly port: number;
  readonly host: string;
  readonly readOnly?: true;
  readonly open?: true;
}

const loopback = ["127.0.0.1", "localhost", "[::1]"];

export function studioCommand(context: CommandContext): Command {
  return new Command("studio")
    .addOption(shared.database())
    .addOption(shared.prefix())
    .option("--port <number>", "the port to listen on; 0 takes a free one", parsePort, 4983)
    .option("--host <address>", "the address to listen on", "127.0.0.1")
    .option("--read-only", "refuse every change")
    .option("--open", "open the page in the browser")
    .addOption(definitionsOption())
    .addOption(shared.json("print one JSON document with the link"))
    .addHelpText(
      "after",
      `
Prints a link to the page and serves it until it is interrupted. The link contains a token, without which every request
is refused. Values of keys such as password and authorization are not shown. With --host, others can read the traffic.
It is safer to forward the port: ssh -L 4983:127.0.0.1:4983 the-server

Examples:
  gorkflow studio --open
  gorkflow studio --database libsql://my-db.turso.io --read-only --port 0`,
    )
    .action(async ({ port, host, readOnly, open, json, ...options }: StudioCommandOptions) => {
      const workflows = await loadDefinitions(options);
      context.onInterruption("run the same command again to open the studio");
      await withStore(
        context,
        options,
        async (store) => {
          const token = randomBytes(24).toString("base64url");
          const hosts: string[] = [];
          const studio = withToken(
            createStudio(store, {
              readOnly: readOnly === true,
              authorize: () => true,
              workflows,
            }),
            { token, hosts },
          );
          // Its own classes for requests would replace those of Node for the whole process.
          const server = createAdaptorServer({
            fetch: studio.fetch,
            overrideGlobalObjects: false,
          });
          server.listen(port, host);
          await once(server, "listening").catch((error: NodeJS.ErrnoException) => {
            throw notListening(error, { host, port });
          });
          const { port: actual } = server.address() as AddressInfo;
          hosts.push(...namesOf(host).map((name) => hostOf(name, actual)));
          const url = `http://${hostOf(loopback.includes(host) ? host : (namesOf(host).at(-1) ?? host), actual)}/?token=${token}`;
          if (json) printJson({ url, readOnly: readOnly === true });
          else print(`${readOnly ? "The studio, read-only, is at" : "The studio is at"}\n  ${url}`);
          if (namesOf(host) !== loopback) {
            note(`others can reach ${host}: whoever has the link can read the runs`);
          }
          if (open) openBrowser(url);
          try {
            if (!context.signal.aborted) await once(context.signal, "abort");
            throw context.signal.reason;
          } finally {
            server.close();
            if ("closeAllConnections" in server) server.closeAllConnections();
          }
        },
        { access: readOnly ? "look" : "change" },
      );
    });
}

/** The names by which a request may call this server. */
function namesOf(host: string): readonly string[] {
  if (loopback.includes(host) || host === "::1") return loopback;
  if (host !== "0.0.0.0" && host !== "::") return [...loopback, host];
  const addresses = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  return [...loopback, ...addresses.map(({ address }) => address), hostname()];
}

/** As in the header `Host`: with brackets around IPv6, without the port 80. */
function hostOf(name: string, port: number): string {
  const isIpv6 = name.includes(":") && !name.startsWith("[");
  const text = `http://${isIpv6 ? `[${name.replace(/%.*/, "")}]` : name}:${port}`;
  return URL.canParse(text) ? new URL(text).host : name;
}

function notListening(
  error: NodeJS.ErrnoException,
  { host, port }: { readonly host: string; readonly port: number },
): CommandError {
  return new CommandError(
    {
      code: "NOT_LISTENING",
      message: `cannot listen on ${host}, port ${port} (${error.code ?? error.name})`,
      remedy: "give --port 0 for a free port, or another --host",
    },
    { cause: error },
  );
}

function parsePort(text: string): number {
  const port = Number(text);
  if (/^\d+$/.test(text) && port <= 65_535) return port;
  throw new InvalidArgumentError("A port is from 0 to 65535.");
}

/** The page is also printed, so a browser that cannot be opened is no failure. */
function openBrowser(url: string): void {
  const [program, ...args] =
    process.platform === "win32"
      ? ["cmd", "/c", "start", "", url]
      : [process.platform === "darwin" ? "open" : "xdg-open", url];
  if (program === undefined) return;
  const child = spawn(program, args, { stdio: "ignore", detached: true });
  child.on("error", () => note("no browser could be opened: open the link yourself"));
  child.unref();
}
