import type { Plugin } from "vite";

export declare const simulatedEdges: () => Plugin;
