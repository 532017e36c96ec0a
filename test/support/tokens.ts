import { generateKeyPairSync, sign } from "node:crypto";

/** The claims of a libSQL token: `a` is the access, `exp` the expiry in seconds since 1970. */
export interface TokenClaims {
  readonly a?: "rw" | "ro";
  readonly exp?: number;
}

/** Creates an Ed25519 key that signs tokens. */
export function createTokenIssuer() {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const part = (content: object) => Buffer.from(JSON.stringify(content)).toString("base64url");
  return {
    /** In PEM, as a server expects it. */
    publicKey: publicKey.export({ type: "spki", format: "pem" }).toString(),
    issue(claims: TokenClaims): string {
      const content = `${part({ alg: "EdDSA", typ: "JWT" })}.${part(claims)}`;
      return `${content}.${sign(null, Buffer.from(content), privateKey).toString("base64url")}`;
    },
  };
}
