// With `node --import`, everything that this process imports gets the Drizzle of this workspace.
import { register } from "node:module";

const hooks = `
  export function resolve(specifier, context, next) {
    const isDrizzle = /^drizzle-(orm|kit)(\\/|$)/.test(specifier);
    return next(specifier, isDrizzle ? { ...context, parentURL: ${JSON.stringify(import.meta.url)} } : context);
  }`;
register(`data:text/javascript,${encodeURIComponent(hooks)}`);
