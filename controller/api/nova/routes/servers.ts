/** /servers: what there is, one of them, a new one, and the end of one. */

import { HostServiceService, ServerServiceService } from "../../../../proto/gen/ferry/v1/controller.js";
import type { Host, Server } from "../../../../proto/gen/ferry/v1/model.js";
import { askedPage, nextLinks, type Page } from "../page.js";
import type { NovaRequest, Route } from "../route.js";
import { isAdmin, NO_CONTENT, ok } from "../route.js";
import { serverById } from "../server-by-id.js";
import { serverQuestion } from "../server-question.js";
import type { NovaSettings } from "../settings.js";
import { type ServerSurroundings, serverSummary, serverView } from "../views/server-view.js";
import { createServer } from "./create-server.js";
import { actOnServer } from "./server-actions.js";

export const serverRoutes = (settings: NovaSettings): Route[] => [
  { method: "GET", path: "/servers", answer: request => list(request, settings, false) },
  { method: "GET", path: "/servers/detail", answer: request => list(request, settings, true) },
  { method: "POST", path: "/servers", answer: request => createServer(request, settings) },
  { method: "GET", path: "/servers/:id", answer: request => show(request, settings) },
  { method: "DELETE", path: "/servers/:id", answer: remove },
  { method: "POST", path: "/servers/:id/action", answer: actOnServer },
];

async function list(request: NovaRequest, settings: NovaSettings, detailed: boolean) {
  const { items, next } = await pageOfServers(request, settings);
  const path = detailed ? "servers/detail" : "servers";
  const links = nextLinks(request, path, next, "servers_links");
  if (!detailed) return ok({ servers: items.map(server => serverSummary(request, server)), ...links });
  const around = await surroundings(request, settings);
  return ok({ servers: items.map(server => serverView(request, server, around(server))), ...links });
}

async function pageOfServers(request: NovaRequest, settings: NovaSettings): Promise<Page<Server>> {
  const page = askedPage(request);
  const question = serverQuestion(request, settings);
  if (question === undefined) return { items: [] };
  const { servers } = await request.call(ServerServiceService.listServers, { ...question, ...page.asked });
  return page.cut(servers);
}

async function show(request: NovaRequest, settings: NovaSettings) {
  const server = await serverById(request);
  const around = await surroundings(request, settings);
  return ok({ server: serverView(request, server, { ...around(server), groups: groupsOf(server) }) });
}

async function remove(request: NovaRequest) {
  const { id } = await serverById(request);
  await request.call(ServerServiceService.deleteServer, { server: id, noWait: true });
  return NO_CONTENT;
}

const groupsOf = ({ schedulerHints }: Server): string[] =>
  schedulerHints?.group ? [schedulerHints.group] : [];

/** Only administrators see hosts, and only since 2.16 how they are. */
async function surroundings(
  request: NovaRequest,
  { images }: NovaSettings,
): Promise<(server: Server) => ServerSurroundings> {
  const asksHosts = isAdmin(request) && request.version >= 16;
  const { hosts } = asksHosts
    ? await request.call(HostServiceService.listHosts, { statesOnly: true })
    : { hosts: [] };
  const byName = new Map(hosts.map(host => [host.name, host]));
  return ({ host, image }) => ({
    hostStatus: hostStatusOf(byName.get(host)),
    imageId: images.find(({ path }) => path === image)?.id,
  });
}

function hostStatusOf(host: Host | undefined): string {
  if (host === undefined) return "";
  if (host.status === "disabled") return "MAINTENANCE";
  return { up: "UP", down: "DOWN" }[host.state] ?? "UNKNOWN";
}
