/** Puts Ferry's element into a domain's `<metadata>` as libvirt does: with its namespace, in place of an earlier one. */

const NAMESPACE = "https://ferry.dev/xmlns/domain/1";
const EARLIER = /\s*<ferry:\w+ xmlns:ferry=["'][^"']*["'](?:\/>|[^>]*\/>|[^>]*>[\s\S]*?<\/ferry:\w+>)/;

export function withMetadata(domainXml: string, element: string | undefined): string {
  const without = domainXml.replace(EARLIER, "").replace(/<metadata>\s*<\/metadata>/, "");
  if (element === undefined) return without;
  const prefixed = element.replaceAll(/<(\/?)(\w)/g, "<$1ferry:$2").replaceAll("'", '"');
  const named = prefixed.replace(/^<(ferry:\w+)/, `<$1 xmlns:ferry="${NAMESPACE}"`);
  if (without.includes("<metadata>")) return without.replace("<metadata>", `<metadata>${named}`);
  return without.replace("</uuid>", `</uuid><metadata>${named}</metadata>`);
}
