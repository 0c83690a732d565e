/**
 * As much of Glance (v2) as the OpenStack client needs to show servers and to find an image by its name: the operator's
 * list, to read. It is a service of its own in the catalog, on the same listener.
 */

import { NovaError } from "../nova-error.js";
import { type NovaRequest, ok, type Route } from "../route.js";
import type { NovaImage, NovaSettings } from "../settings.js";

export const IMAGE_BASE = "/image";

export const imageRoutes = ({ images }: NovaSettings): Route[] => {
  const list = async ({ query }: NovaRequest) => {
    const wanted = images.filter(({ name }) => query.name === undefined || name === query.name);
    return ok({ images: wanted.map(imageView), first: "/v2/images", schema: "/v2/schemas/images" });
  };
  const show = async ({ params }: NovaRequest) => {
    const image = images.find(({ id }) => id === params.id);
    if (image === undefined) throw new NovaError(404, `No image found with ID ${params.id}`);
    return ok(imageView(image));
  };
  return [
    { method: "GET", base: IMAGE_BASE, path: "/v2/images", answer: list },
    { method: "GET", base: IMAGE_BASE, path: "/v2/images/:id", answer: show },
  ];
};

const imageView = ({ id, name, format }: NovaImage) => ({
  id,
  name,
  status: "active",
  visibility: "public",
  disk_format: format,
  container_format: "bare",
  protected: true,
  os_hidden: false,
  min_disk: 0,
  min_ram: 0,
  tags: [],
  self: `/v2/images/${id}`,
  file: `/v2/images/${id}/file`,
  schema: "/v2/schemas/image",
});

/** What is asked without credentials, to find out which versions there are. */
export const imageVersions = (origin: string) => ({
  versions: ["v2.9", "v2.0"].map((id, index) => ({
    id,
    status: index === 0 ? "CURRENT" : "SUPPORTED",
    links: [{ rel: "self", href: `${origin}${IMAGE_BASE}/v2/` }],
  })),
});
