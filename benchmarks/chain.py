"""The published way to run one generation of a language model: transformers' Trainer, then `generate`.

The protocol of the paper (five epochs, AdamW at a constant rate, the epoch of least validation loss, a continuation of
every block by five beams, perplexity on the test text), 16 blocks at a time in fp32, as a yardstick for speed.
"""

from __future__ import annotations

import math
import tempfile

import numpy as np
import torch
from transformers import GenerationConfig, OPTConfig, OPTForCausalLM, Trainer, TrainingArguments
from transformers.trainer_callback import PrinterCallback
from transformers.utils import logging


def generation(
    shape: OPTConfig,
    train: np.ndarray,
    validation: np.ndarray,
    test: np.ndarray,
    epochs: int,
    lr: float,
    seed: int,
) -> tuple[np.ndarray, float]:
    """What a new model fitted to blocks `train` (n, m) writes after each of them, (n, m), and its perplexity on
    `test`."""
    logging.disable_progress_bar()
    torch.manual_seed(seed)
    module = OPTForCausalLM(shape)
    parts = {
        name: [{"input_ids": torch.from_numpy(row), "labels": torch.from_numpy(row)} for row in x.astype(np.int64)]
        for name, x in (("train", train), ("validation", validation), ("test", test))
    }
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            num_train_epochs=epochs,
            per_device_train_batch_size=16,
            per_device_eval_batch_size=16,
            learning_rate=lr,
            lr_scheduler_type="constant",
            weight_decay=0.01,
            eval_strategy="epoch",
            save_strategy="epoch",
            load_best_model_at_end=True,
            prediction_loss_only=True,
            use_cpu=True,
            dataloader_pin_memory=False,
            seed=seed,
            report_to=[],
            disable_tqdm=True,
            log_level="error",
            logging_strategy="no",
        )
        trainer = Trainer(module, arguments, train_dataset=parts["train"], eval_dataset=parts["validation"])
        trainer.remove_callback(PrinterCallback)
        trainer.train()
        loss = trainer.evaluate(parts["test"])["eval_loss"]
    module.eval()
    configuration = GenerationConfig(
        num_beams=5,
        min_new_tokens=train.shape[1],
        max_new_tokens=train.shape[1],
        eos_token_id=module.config.eos_token_id,
        pad_token_id=module.config.pad_token_id,
    )
    module.generation_config = configuration
    written = []
    with torch.inference_mode():
        for prompts in torch.from_numpy(train.astype(np.int64)).split(16):
            whole = module.generate(
                input_ids=prompts, attention_mask=torch.ones_like(prompts), generation_config=configuration
            )
            written.append(whole[:, train.shape[1] :].numpy())
    return np.concatenate(written), math.exp(loss)
