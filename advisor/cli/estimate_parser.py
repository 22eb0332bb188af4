"""The parser of `advisor estimate`, apart from what the command does, so that the command line starts without importing it."""

from __future__ import annotations

import argparse

Commands = argparse._SubParsersAction  # argparse gives the type no public name


def add_estimate_command(commands: Commands[argparse.ArgumentParser]) -> None:
    about = "Say what a model takes to train and to use: memory, FLOPs, time. No weights and no GPU are needed."
    command = commands.add_parser("estimate", help=about, description=about)
    command.add_argument("model", metavar="MODEL", help="resnet50, transformers:LlamaForCausalLM, python:module:factory …")
    command.add_argument("--library", metavar="NAME", help="timm, torchvision, transformers, diffusers or python:module:factory")
    command.add_argument("--config", action="append", default=[], metavar="KEY=VALUE", help="a value of the model's configuration")
    command.add_argument("--batch", type=int, default=1, metavar="N", help="samples a device (default: 1)")
    command.add_argument("--optimizer", default="adamw", metavar="NAME", help="sgd, adamw, adamw_8bit, adafactor … (default: adamw)")
    command.add_argument("--precision", choices=("fp32", "bf16", "fp16", "int8", "nf4"), default="fp32", help="default: fp32")
    command.add_argument("--image-size", type=int, metavar="PIXELS")
    command.add_argument("--sequence-length", type=int, metavar="TOKENS")
    command.add_argument("--input", action="append", default=[], metavar="SHAPE", help="one sample's input: 3x224x224, or ids=int64:128")
    command.add_argument("--checkpointing", action="store_true", help="compute activations again in the backward pass")
    command.add_argument("--lora", metavar="r=N", help="train low-rank adapters of this rank alone")
    command.add_argument("--accumulation", type=int, default=1, metavar="N", help="batches an optimizer step (default: 1)")
    command.add_argument("--devices", type=int, metavar="N", help="devices that train together (default: as --on says, or 1)")
    command.add_argument("--sharding", choices=("ddp", "zero1", "zero2", "zero3", "fsdp"), default="ddp", help="default: ddp")
    command.add_argument("--on", metavar="DEVICE", help="RTX 4090, 8xA100-80G, M2 Max …: adds what fits, times and energy")
    command.add_argument("--samples", type=int, metavar="N", help="samples shown over the whole training: adds its time and energy")
    command.add_argument("--inference", action="store_true", help="only the use of the model, not its training")
    command.add_argument("--format", choices=("table", "json"), default="table", help="what to print (default: table)")
