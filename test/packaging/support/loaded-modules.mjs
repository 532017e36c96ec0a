// Imports what it is told to and says which modules the package asked for, and which native ones were loaded.
// Argument: the specifier.
import { register } from "node:module";
import { MessageChannel } from "node:worker_threads";

const { port1, port2 } = new MessageChannel();
const modules = [];
port1.on("message", (url) => modules.push(url));
port1.unref();

const hooks = `
  let port;
  export function initialize(data) { port = data.port; }
  export async function resolve(specifier, context, next) {
    const resolved = await next(specifier, context);
    if (context.parentURL?.includes("/node_modules/gorkflow/")) port.postMessage(resolved.url);
    return resolved;
  }`;
register(`data:text/javascript,${encodeURIComponent(hooks)}`, {
  data: { port: port2 },
  transferList: [port2],
});

await import(process.argv[2]);
// Messages of the hooks' thread arrive in a later turn.
await new Promise((resolve) => setTimeout(resolve, 50));
const nativeModules = process.report
  .getReport()
  .sharedObjects.filter((path) => path.endsWith(".node"));
process.stdout.write(JSON.stringify({ modules, nativeModules }));
process.exit();
