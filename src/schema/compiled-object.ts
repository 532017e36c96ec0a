import { never, ZodMiniObject } from "zod/mini";
import { $constructor, $ZodObjectJIT, type $strict, type $ZodShape } from "zod/v4/core";

const CompiledObject: $constructor<ZodMiniObject> = $constructor("CompiledObject", (inst, def) => {
  $ZodObjectJIT.init(inst, def);
  ZodMiniObject.init(inst, def);
});

/**
 * Like `z.strictObject`, for arguments of frequent calls. The parser is compiled if the runtime allows it, as in `zod`,
 * and takes a third of the time.
 */
export function compiledObject<Shape extends $ZodShape>(
  shape: Shape,
): ZodMiniObject<{ -readonly [Name in keyof Shape]: Shape[Name] }, $strict> {
  return new CompiledObject({ type: "object", shape, catchall: never() }) as never;
}
